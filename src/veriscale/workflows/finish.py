"""From the truth grid of a restoration to a photograph like the measurement."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.imaging.colour import as_channels, unpremultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.resize import resize
from veriscale.workflows.plan import Plan


class Finish:
    """Cuts off what was padded and gives back alpha, profile and resolution."""

    def __init__(self, photo: Photo, plan: Plan) -> None:
        self.photo = photo
        self.height, self.width = plan.shape
        self.alpha = None
        if photo.alpha is not None:
            self.alpha = resize(photo.alpha, self.height, self.width).clip(0, 1)
        finer = self.width / photo.width, self.height / photo.height
        self.dpi = None if photo.dpi is None else (photo.dpi[0] * finer[0], photo.dpi[1] * finer[1])

    def crop(self, x: Tensor) -> NDArray[np.float32]:
        """(1, C, H', W') to (H, W, C) with the photograph's channels."""
        samples = x[0, :, : self.height, : self.width].permute(1, 2, 0).numpy()
        return as_channels(samples, self.photo.channels)

    def planes(self, x: Tensor) -> Tensor:
        """(1, C, H', W') to (1, C, H, W) with the photograph's channels."""
        return torch.from_numpy(np.ascontiguousarray(self.crop(x).transpose(2, 0, 1)))[None]

    def __call__(self, x: Tensor) -> Photo:
        """(1, C, H', W') to a photograph."""
        samples = unpremultiplied(self.crop(x), self.alpha)
        return Photo(samples, self.alpha, self.photo.bit_depth, self.photo.icc, self.dpi, self.photo.format)
