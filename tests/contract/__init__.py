"""One suite per seam, inherited by every backend."""
