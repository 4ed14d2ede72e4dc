"""Virtual tissue with known truth."""
