"""The parts of the Valkey store."""
