"""Making measurements, and knowing what made them."""
