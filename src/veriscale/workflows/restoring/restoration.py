"""What a restoration gives back."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.physics.operator import Operator
from veriscale.traversal.consistency import Verdict
from veriscale.trust.certificate import Certificate
from veriscale.workflows.certifying.mask import Mask, make_mask


@dataclass(frozen=True, eq=False)
class Restoration:
    """What comes back.

    Attributes:
        images: a photograph per dial position: the anchor at 0, else draw 0 on its way.
        measurement: what was restored.
        samples: draws at dial 1.
        mean, std: of the samples, per pixel and channel; None without samples.
        operator: what made the measurement, bound to its grid.
        verdict: whether the anchor agrees with the measurement.
        score: (H, W), higher where the result is less trustworthy; None where none was asked for.
        mask: what a certificate says of the picture at its dial; None without one.
        run: what was done: versions, prior, operator, noise, dials, seed, device, seconds by phase.
    """

    images: dict[float, Photo]
    measurement: Photo
    samples: list[Photo]
    mean: Photo | None
    std: NDArray[np.float32] | None
    operator: Operator
    verdict: Verdict
    run: dict[str, Any]
    score: NDArray[np.float32] | None = None
    mask: Mask | None = None

    @property
    def consistency(self) -> float:
        """‖A·anchor − y‖²/(n·s²): about 1 or a little less where operator and noise are right."""
        return self.verdict.value

    @property
    def trusted(self) -> NDArray[np.bool_] | None:
        """(H, W), which pixels a certificate trusts; None without one."""
        return None if self.mask is None else self.mask.trusted

    @property
    def image(self) -> Photo:
        """The photograph at the first dial position asked for."""
        return next(iter(self.images.values()))

    def masked(self, certificate: Certificate, alpha: str | None) -> "Restoration":
        """The same with the mask of a certificate that it was checked against.

        Raises:
            InputError: there is no score, or alpha is no level.
        """
        if self.score is None:
            raise InputError("The certificate's score is of the user's own maps; give `--score-files`.")
        mask = make_mask(certificate, alpha, self.score, self.measurement)
        return replace(self, mask=mask, run={**self.run, "certificate": mask.facts()})

    def save(self, folder: str | os.PathLike[str], stem: str = "restored", force: bool = False) -> list[Path]:
        """Write all pictures and run.json into a folder; returns the files.

        Raises:
            InputError: a file exists and `force` is not set, or cannot be written.
        """
        from veriscale.workflows.restoring.results import save_restoration

        return save_restoration(self, Path(folder), stem, force=force)[0]
