"""Open slides and cases, read pixels, find tissue, write pyramids."""
