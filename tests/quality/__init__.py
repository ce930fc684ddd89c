"""Retrieval quality on the shipped conversation: a regression fails `make test`."""
