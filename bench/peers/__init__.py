"""router-memory beside what people use today: the same texts, model and machine, each in its own environment."""
