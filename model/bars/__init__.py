"""model/bars."""
