"""The parts of the hot cache, each by itself."""
