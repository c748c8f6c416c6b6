"""model/forecaster."""
