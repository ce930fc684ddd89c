"""How long programs take to start; see `bench.startup.__main__`."""
