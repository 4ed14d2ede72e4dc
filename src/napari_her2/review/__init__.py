"""The append-only journal and the state of a case folded from it."""
