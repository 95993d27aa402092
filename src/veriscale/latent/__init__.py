"""Pretrained diffusion models in the layout of diffusers: the only door to that library."""
