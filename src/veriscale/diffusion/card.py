"""What a prior's file says of itself: the card in the header of its checkpoint."""

import hashlib
import math
import re
from collections.abc import Iterable

import msgspec
import numpy as np

FORMAT_VERSION = 1
MEAN = 0.5  # of pictures in [0, 1] that are no scans
PATHS = ("renoise", "interpolate")  # of the dial
KEPT_DIGITS = 16  # of the hash of each training file
_NON_COMMERCIAL = re.compile(
    r"(?<![A-Za-z])NC(?![A-Za-z])|(?i:(non|not)(-|\s+for\s+|\s*)commercial|research\s+(use\s+)?only)"
)


class EncoderArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size of the encoder."""

    width: int = 64
    depth: int = 16
    features: int = 8


class DenoiserArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size of the denoiser: channels and blocks per level, and the factor of the stem."""

    width: list[int] = msgspec.field(default_factory=lambda: [64, 96, 128])
    depth: list[int] = msgspec.field(default_factory=lambda: [2, 2, 2])
    stem: int = 2


class PredictorArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size of the head that predicts the error of the conditional mean."""

    width: int = 64
    depth: int = 8


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is needed to build the networks; not every prior predicts its error."""

    channels: int
    scales: list[int]
    encoder: EncoderArguments
    denoiser: DenoiserArguments
    predictor: PredictorArguments | None = None


class Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Noise levels and measured statistics of one mode: a scale, or 0 for the unconditional one.

    Attributes:
        scale: the factor, 0 when unconditional.
        noise_std: the measurement noise at which the following were measured.
        sigma_data: standard deviation of what is denoised, at each noise_std.
        sigma_min: the last noise level before 0.
        sigma_max: the first.
        level_ratio: the denoiser is told level_ratio · sigma where the noise is sigma; below 1 it leaves more detail.
        high: of mode 0: the level at which the anchor `fast` begins, for operators that mix pixels.
        low: the level at which it ends for those with less noise than that.
        relaxation: of mode 0: what its splitting steps are multiplied by; below 1 they are strictly contractive.
        trust: of mode 0: by what the noise of a measurement is multiplied in it, since a prior that is applied again
            and again draws towards its mode.
        mask_high, mask_relaxation, mask_trust: the same for masks, of pixels and of coefficients.
        mask_low: the level at which it ends for masks with less noise than that.
        path, mask_path: of mode 0: the dial's path that looks better, for masks of pixels and for all others.
        sigma: levels at which `variance` was measured, increasing.
        variance: v(sigma) = Var[x0 | x_sigma] per pixel, a row per noise_std.
    """

    scale: int
    noise_std: list[float]
    sigma_data: list[float]
    sigma_min: float
    sigma_max: float
    level_ratio: float = 1.0
    high: float = 0.9
    low: float = 0.0
    relaxation: float = 1.0
    trust: float = 1.0
    mask_high: float = 0.35
    mask_low: float = 0.01
    mask_relaxation: float = 1.0
    mask_trust: float = 1.0
    path: str = "interpolate"
    mask_path: str = "interpolate"
    sigma: list[float] = []
    variance: list[list[float]] = []

    def sigma_data_at(self, noise_std: float) -> float:
        """Interpolated between the measured noise levels."""
        return float(np.interp(noise_std, self.noise_std, self.sigma_data))

    def variance_at(self, sigma: float, noise_std: float) -> float:
        """v(sigma), interpolated in log sigma and in noise_std; proportional to sigma² below the measured levels."""
        rows = [np.interp(np.log(sigma), np.log(self.sigma), np.log(row)) for row in self.variance]
        value = float(np.exp(np.interp(noise_std, self.noise_std, rows)))
        return value * min(1.0, sigma / self.sigma[0]) ** 2


class DialTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of the extra distortion at each start of the second stage, measured on validation images.

    Attributes:
        scale: the factor of the mode.
        noise_std: of the measurement.
        sampler: name in `samplers.SAMPLERS`.
        steps: of the schedule from sigma_0 to 0.
        sigma_0: starts, increasing from 0 to sigma_max.
        fraction: (MSE(sigma_0) - MSE(0)) / (MSE(sigma_max) - MSE(0)), non-decreasing from 0 to 1.
        mse: pooled over images and channels, unclipped, at each start.
        kappa: E<x1 - anchor, x - anchor> / E|x1 - anchor|² of full draws x1, for the path `interpolate`.
    """

    scale: int
    noise_std: float
    sampler: str
    steps: int
    sigma_0: list[float]
    fraction: list[float]
    mse: list[float]
    kappa: float


class Consistency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is usual for ‖A·anchor − y‖²/(n·s²): its central 95 % on validation images.

    Attributes:
        operator: without a seed.
        anchor: name of the first stage.
        noise_std: of the measurement, increasing.
        low, high: bounds at each.
        values: how many were measured of each image: of fewer the noise itself varies more.
    """

    operator: str
    anchor: str
    noise_std: list[float]
    low: list[float]
    high: list[float]
    values: int

    def at(self, noise_std: float, values: int) -> tuple[float, float] | None:
        """The bounds for a measurement of `values` values, interpolated in log noise; None outside of what is known.

        The mean of n squares of unit normals has variance 2/n, which widens the interval where n is smaller.
        """
        known = np.log(np.maximum(self.noise_std, 1e-3))
        asked = np.log(max(noise_std, 1e-3))
        if not known[0] - 1e-6 <= asked <= known[-1] + 1e-6:
            return None
        low, high = (float(np.interp(asked, known, np.log(b))) for b in (self.low, self.high))
        more = max(0.0, 2 / values - 2 / self.values)
        half = math.sqrt((high - low) ** 2 / 4 + 1.96**2 * more)
        return math.exp((low + high) / 2 - half), math.exp((low + high) / 2 + half)


class Calm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much the step of a draw from the anchor is shrunk, over what the anchor is expected to err.

    Attributes:
        scale: the factor of the mode.
        noise_std: of the measurement.
        log_square: knots, ln E[e² | y] as the error predictor has it, increasing.
        factor: at each, at most 1.
    """

    scale: int
    noise_std: float
    log_square: list[float]
    factor: list[float]


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of files a prior has seen.

    Attributes:
        pattern: of the recipe.
        files: how many.
        sha256: over their names and contents.
        licence: terms.
        each: the first digits of every file's own sha256.
        spacing: of scans, the least and the greatest within their slices, in millimetres; none of photographs.
        planes: "all" where isotropic volumes were cut into sagittal and coronal slices too; empty else.
    """

    pattern: str
    files: int
    sha256: str
    licence: str
    each: list[str] = []
    spacing: list[float] = []
    planes: str = ""


class PhaseBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps of one network in one stage of its recipe.

    Attributes:
        trainable: what of it was trained.
        parameters: how many numbers that is; 0 where the file does not say it.
        kept: the step whose weights were kept as the best of those that were evaluated; None: the last.
    """

    stage: str
    network: str
    steps: int
    batch: int
    optimiser: str
    trainable: str = "all"
    parameters: int = 0
    kept: int | None = None


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What training took: steps in all, and phase by phase where the file says so."""

    encoder_steps: int
    denoiser_steps: int
    seconds: float
    machine: str
    predictor_steps: int = 0
    phases: list[PhaseBudget] = []


class Ancestor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prior that another began with, as its own card had it.

    Attributes:
        name: of the prior.
        sha256: of its tensors.
        channels, scales: of its networks.
        training: what it was trained on itself, under licences that bind all that come after it.
        steps: of its own training, by network.
        phases: the same phase by phase, where its card says so.
        seconds: of its own training.
        metrics: measured at the end of it.
    """

    name: str
    sha256: str
    channels: int
    scales: list[int]
    training: list[Data]
    steps: dict[str, int]
    phases: list[PhaseBudget]
    seconds: float
    metrics: dict[str, float]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything known of a prior; the header of its file.

    Attributes:
        name, network: whose tensors the file holds.
        modes: noise levels and statistics, the unconditional mode first.
        training, validation: the pictures of its own training, not of its ancestors'.
        budget: of its own training.
        dial, consistency, calm, metrics: measured on the validation pictures.
        lineage: the parent, then the parent's parent, and so on.
        mean: what the unconditional mode is centred on; the square of its sigma_data is the variance about it.
        normalisation: "photograph", or how the levels of scans were found.
        temperature: what the std of draws of measurements that the encoder knows is multiplied by, in results; never
            draws, dial or masks. The inverse of the spread–skill of validation scans; 1 of photographs.
        tensors_sha256, predictor_sha256: of the tensors as stored.
    """

    name: str
    network: Network
    modes: list[Mode]
    training: list[Data]
    validation: list[Data]
    budget: Budget
    dial: list[DialTable] = []
    consistency: list[Consistency] = []
    calm: list[Calm] = []
    metrics: dict[str, float] = {}
    lineage: list[Ancestor] = []
    mean: float = MEAN
    normalisation: str = "photograph"
    temperature: float = 1.0
    tensors_sha256: str = ""
    predictor_sha256: str = ""
    format_version: int = FORMAT_VERSION

    def deciding_sha256(self, scale: int) -> str:
        """Of all on it that decides pictures of a scale beside the tensors, 0 for the unconditional mode."""
        dial, calm = [t for t in self.dial if t.scale == scale], [c for c in self.calm if c.scale == scale]
        mode = msgspec.to_builtins(self.mode(scale))
        for name in ("relaxation", "mask_relaxation"):  # as with the mean below
            if mode[name] == 1:
                del mode[name]
        decides = [self.network, mode, dial, calm]
        if scale == 0 and self.mean != MEAN:  # hashes from before cards had a mean stay what they were
            decides.append(self.mean)
        return hashlib.sha256(msgspec.json.encode(decides)).hexdigest()

    @property
    def seen(self) -> list[Data]:
        """All that its weights come from: its own training data, then every ancestor's."""
        return [*self.training, *(data for ancestor in self.lineage for data in ancestor.training)]

    @property
    def licences(self) -> list[str]:
        """Of all data that its weights come from, each once: they bind whoever uses the prior."""
        return list(dict.fromkeys(data.licence for data in self.seen))

    @property
    def non_commercial(self) -> list[str]:
        """Those of its licences whose words forbid commercial use."""
        return non_commercial(self.seen)

    def mode(self, scale: int) -> Mode:
        """The mode of a scale the card knows, 0 for the unconditional one."""
        return next(m for m in self.modes if m.scale == scale)


def non_commercial(seen: Iterable[Data]) -> list[str]:
    """The licences of data whose words forbid commercial use, each once."""
    return list(dict.fromkeys(data.licence for data in seen if _NON_COMMERCIAL.search(data.licence)))
