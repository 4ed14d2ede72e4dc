"""The slide-anchored tile grid, the engine and the result store."""
