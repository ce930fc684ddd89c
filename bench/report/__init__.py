"""Tables and plots of what the benchmarks wrote, put into the documentation."""
