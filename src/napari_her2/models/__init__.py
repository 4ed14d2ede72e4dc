"""Torch networks, their building blocks, and bundles of weights."""
