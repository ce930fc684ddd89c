"""Probes, metrics, state, and the limits of requests."""
