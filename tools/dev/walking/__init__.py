"""HRNet swapped into every config that the four packages ship, and how each fared."""
