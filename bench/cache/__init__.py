"""What the hot cache saves and what it costs, beside bare GETs and beside the same requests without it."""
