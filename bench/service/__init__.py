"""What the proxy costs beside a plain pass-through."""
