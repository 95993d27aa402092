"""Where networks run: devices, number types, tiles."""
