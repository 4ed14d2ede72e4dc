"""Metrics, tables and figures of a bundle on slides with known truth."""
