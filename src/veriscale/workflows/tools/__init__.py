"""Somebody's program in the place of a prior."""
