"""tasks/plans."""
