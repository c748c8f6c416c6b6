"""Faults from the field: the recorded inputs through the whole stack."""
