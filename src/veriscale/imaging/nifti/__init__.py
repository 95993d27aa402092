"""NIfTI scans: a checked header, reading, and writing like the file that was read."""
