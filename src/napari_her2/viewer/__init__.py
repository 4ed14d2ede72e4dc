"""napari layers by role, the viewport, regions and linked canvases."""
