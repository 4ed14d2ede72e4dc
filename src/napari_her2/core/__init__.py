"""Values, units, events and the guideline: standard library and numpy only."""
