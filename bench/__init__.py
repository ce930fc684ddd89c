"""Benchmarks: speed as ratios to a floor in the same run, quality on evaluation data."""
