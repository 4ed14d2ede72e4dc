"""The docks: they translate, and hold no logic."""
