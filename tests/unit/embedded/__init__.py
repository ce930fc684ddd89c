"""The embedded store under the faults it is likeliest to meet."""
