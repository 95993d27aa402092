"""Training: recipes, data, the trainer, and what is measured at its end."""
