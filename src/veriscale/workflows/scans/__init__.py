"""Restoring scans: volumes in plane and through the plane."""
