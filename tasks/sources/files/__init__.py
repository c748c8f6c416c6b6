"""tasks/sources/files."""
