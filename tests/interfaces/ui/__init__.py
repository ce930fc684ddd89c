"""The dashboard, in a browser, against a server process of its own."""
