"""model/paper."""
