"""Certificates: made, found, kept to, scored."""
