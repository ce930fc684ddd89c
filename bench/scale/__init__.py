"""The embedded store at a million memories: many users, and one user who has them all."""
