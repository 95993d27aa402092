"""Other modalities beside a measurement: experts, gates, the prior they guide, and what they are worth."""
