"""Real servers for tests: how they are found, started, clustered and disturbed."""
