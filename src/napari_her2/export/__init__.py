"""Confirmed scores as CSV and versioned JSON."""
