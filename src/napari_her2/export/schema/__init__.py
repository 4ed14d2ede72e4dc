"""What the exported files mean, one module per version that was ever written."""
