"""tasks/month."""
