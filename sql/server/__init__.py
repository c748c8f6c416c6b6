"""sql/server."""
