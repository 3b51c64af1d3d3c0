"""HRNet and the networks that its papers compare it with, trained side by side on the same data."""
