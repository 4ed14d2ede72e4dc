"""Nuclei, membranes and what the cells of a slide say together."""
