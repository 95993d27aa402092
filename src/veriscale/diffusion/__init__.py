"""Priors and samplers: encoder, denoiser, schedules, oracles, checkpoints."""
