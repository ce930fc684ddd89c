"""Several processes on one store with the hot cache: what they did, and whether all of it could be true."""
