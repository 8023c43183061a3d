"""Flower looks for its two apps here; the work is in plada_distill."""
