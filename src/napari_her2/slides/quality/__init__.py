"""Quality before score: what on a slide keeps it from being read."""
