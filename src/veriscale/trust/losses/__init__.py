"""Losses; `registry` lists them."""
