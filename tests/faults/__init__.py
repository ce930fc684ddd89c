"""Faults, each against a real server process."""
