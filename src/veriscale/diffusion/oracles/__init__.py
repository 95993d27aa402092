"""Distributions whose denoisers, variances and posteriors are known exactly: what every sampler is tested on."""

from veriscale.diffusion.oracles.gaussian import Gaussian, coloured_spectrum
from veriscale.diffusion.oracles.mixture import Mixture
from veriscale.diffusion.oracles.output_law import output_law

__all__ = ["Gaussian", "Mixture", "coloured_spectrum", "output_law"]
