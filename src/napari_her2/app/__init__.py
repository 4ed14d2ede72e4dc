"""Evented state of one viewer, commands and the run plan; no napari, no Qt."""
