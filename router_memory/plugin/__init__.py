"""What happens to a chat request and its reply: gate, deadline, fail-open, write queue."""
