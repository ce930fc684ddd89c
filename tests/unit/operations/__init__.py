"""What operators are told, put together."""
