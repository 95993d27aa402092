"""Where a full draw of a zero-shot restoration starts: as high as what the measurement leaves open, and no higher.

The anchor holds what is coarser. From too low a start a draw keeps its anchor's place; from too high a one the errors
of the posterior `proximal`, which takes the prior's covariance for white, add up to draws that vary too much.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt

from veriscale.physics.downsample import Downsample
from veriscale.physics.masked import Masked
from veriscale.physics.measurement_noise import GaussianNoise, Noise
from veriscale.physics.operator import Operator, Shape
from veriscale.physics.slice_profile import SliceProfile

THICK = 2.0  # for thick pixels
WIDE = 4.0  # for blurs and all others, which leave wide modes open
PIXELS, COEFFICIENTS, POWER = 0.27, 0.19, 4 / 3  # for masks, over the mean gap in pixels
CALM, NOISY = 0.5, 0.05  # of coefficients without noise, over a full start; the noise from which it is one
PILOTS = (1 / 20, 1 / 8, 1 / 4, 1 / 2)  # of a full start: where pilot draws start on the path `renoise`
PILOTS_MASKED = (1 / 8, 1 / 4, 1 / 2, 3 / 4)


def full_level(operator: Operator, noise: Noise, shape: Shape, posterior: str = "proximal") -> float:
    """The noise level at which a full draw starts.

    Args:
        operator, noise: of the measurement.
        shape: of the measurement, without the batch.
        posterior: by name; `dps` starts at one level for all.

    Source: ours, docs/methods.md#posteriors.
    """
    if posterior == "dps" or isinstance(operator, Downsample | SliceProfile):
        return THICK
    if not isinstance(operator, Masked):
        return WIDE
    of_masks: float = (PIXELS if operator.picture else COEFFICIENTS * loud(noise)) * gap(operator, shape) ** POWER
    return min(WIDE, of_masks)


def loud(noise: Noise) -> float:
    """From `CALM` without noise to 1: what coefficients leave open goes with their noise, all pixels alike."""
    return min(1.0, CALM + (1 - CALM) * noise.std / NOISY) if isinstance(noise, GaussianNoise) else 1.0


def pilot_starts(operator: Operator, full: float) -> tuple[float, ...]:
    """Starts of the pilot draws below that of a full one."""
    return tuple(full * share for share in (PILOTS_MASKED if isinstance(operator, Masked) else PILOTS))


def gap(operator: Masked, shape: Shape) -> float:
    """Mean distance, in pixels, from a place that is not measured to the nearest one that is; at least 1."""
    missing = ~np.squeeze(operator.measured(shape))
    return float(distance_transform_edt(missing)[missing].mean()) if missing.any() else 1.0
