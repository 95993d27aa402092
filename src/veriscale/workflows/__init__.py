"""What users do: restore, degrade, evaluate."""
