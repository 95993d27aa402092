"""Restoring pictures: what is planned, who does it, what comes back."""
