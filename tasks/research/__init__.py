"""tasks/research."""
