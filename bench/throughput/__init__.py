"""What concurrent requests, single queries and ingest make of the embedding model."""
