"""One script for each product; each runs in that product's environment and imports nothing of the others."""
