"""Which pixels can be trusted, with a guarantee: conformal masks."""
