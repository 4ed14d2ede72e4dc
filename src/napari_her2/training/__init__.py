"""Data sets, losses and stages of training."""
