"""Measurements: operators, noise, and their strings."""
