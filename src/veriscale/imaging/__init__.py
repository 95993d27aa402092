"""Images as arrays: files, colour, resizing, tiles."""
