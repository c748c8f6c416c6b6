"""tasks/sources/yahoo."""
