"""tasks/report."""
