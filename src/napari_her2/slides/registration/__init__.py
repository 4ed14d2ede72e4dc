"""How the IHC section lies on the H&E section, and how well that is known."""
