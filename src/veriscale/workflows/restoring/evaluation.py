"""How good a prior is on somebody's pictures: distortion and perception along the dial."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, about
from veriscale.imaging.colour import as_channels, premultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import as_stored
from veriscale.metrics.bootstrap import interval
from veriscale.metrics.distortion import mse, psnr_luma, psnr_rgb, ssim_luma
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise, parse_noise
from veriscale.runtime.device import Device
from veriscale.settings import Asked, Settings, as_names, check_functions, positions, settled
from veriscale.traversal.method import Tell
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.inputs import collect
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.method_choice import known_scale
from veriscale.workflows.restoring.prior_restorer import PriorRestorer

_WITH_A_CERTIFICATE = ("operator", "certificate", "alpha", "command", "score_files", "timeout")


def crop_to_multiple(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Without the rows and columns at the bottom and right that no measurement pixel covers whole."""
    return samples[: samples.shape[0] // factor * factor, : samples.shape[1] // factor * factor]


@dataclass(frozen=True)
class Scores:
    """One picture at one dial position; `dial` is "bicubic" for the baseline."""

    picture: str
    dial: float | str
    psnr_luma: float
    ssim_luma: float
    psnr_rgb: float
    mse: float
    sliced_w2: float
    energy_w2: float


@dataclass(frozen=True)
class Evaluation:
    """All scores, picture by picture."""

    scores: list[Scores]
    settings: dict[str, Any]
    failed: list[str] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """How many were scored."""
        return len({s.picture for s in self.scores})

    def summary(self) -> list[dict[str, Any]]:
        """Per dial position the mean over pictures of every number, with the 95 % interval of PSNR."""
        rows = []
        for dial in dict.fromkeys(s.dial for s in self.scores):
            of = [asdict(s) for s in self.scores if s.dial == dial]
            numbers = [k for k in of[0] if k not in ("picture", "dial")]
            row: dict[str, Any] = {"dial": dial, "pictures": len(of)}
            row |= {k: float(np.mean([s[k] for s in of])) for k in numbers}
            if len(of) > 1:
                bounds = interval(np.array([s["psnr_luma"] for s in of]))
                row["psnr_luma_interval"] = [bounds.low, bounds.high]
            rows.append(row)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "settings": self.settings,
            "summary": _finite(self.summary()),
            "pictures": _finite([asdict(s) for s in self.scores]),
        }


def evaluate(
    pictures: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    device: Device = "auto",
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
    say: Callable[[str], None] = lambda line: None,
    **asked: Unpack[Asked],
) -> Evaluation:
    """Score a prior on photographs that serve as truth: each is degraded to 8 bits, restored and compared.

    Args:
        pictures: files, or folders of them.
        prior: name, path or a loaded prior; `photo` by default.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        progress: told after every picture.
        tell: told in words which pictures cannot be scored; the only one that is raises instead.
        say: told what a folder leaves out.
        asked: settings as of `restore`: scale, noise (a standard deviation), dial, path, sampler, steps and seed.

    Raises:
        InputError: a setting cannot be used, or no picture can.
    """
    check_functions(progress=progress, tell=tell, say=say)
    v = settled(as_settings(asked))
    plain = [f.name for f in fields(Settings) if "evaluate" in f.metadata["commands"]]
    if others := [k for k in as_settings(asked).said if k not in plain or k in _WITH_A_CERTIFICATE]:
        raise InputError(f"`--{others[0].replace('_', '-')}` is no setting of an evaluation; leave it out.")
    positions(v.dial or "0")  # what is wrong for every picture is said once
    model = parse_noise(v.noise or "0")
    if not isinstance(model, GaussianNoise):
        raise InputError(f"Noise {model} cannot be evaluated; a standard deviation such as 0.02 can.")
    given = as_names("pictures", pictures)
    items, _ = collect(given, say=say)
    loaded = load_prior("photo" if prior is None else prior, device)
    scale = known_scale(loaded, v.scale)
    restorer = PriorRestorer(loaded, replace(v, scale=scale), noise=model)
    run: dict[str, Any] = {}
    scores: list[Scores] = []
    failed: list[str] = []
    for k, item in enumerate(items):
        progress("pictures", k, len(items))
        try:
            found, run = _scored(read_photo(item.path), item.path.name, restorer, scale, model.std)
            scores += found
        except InputError as error:
            if len(items) == 1:
                raise
            failed.append(about(error, item.path))
            tell(failed[-1])
    if not scores:
        raise InputError(f"None of the {len(items)} pictures in {', '.join(given)} could be scored.")
    settings = {
        "scale": scale,
        "noise_std": model.std,
        **{k: run[k] for k in ("path", "sampler", "steps", "seed")},
    }
    facts = {"prior": loaded.card.name, "sha256": loaded.card.tensors_sha256, **settings}
    return Evaluation(scores, facts, failed)


def _scored(
    truth: Photo, name: str, restorer: PriorRestorer, scale: int, noise_std: float
) -> tuple[list[Scores], dict[str, Any]]:
    """Every dial position of one photograph and the bicubic baseline; the facts of the run."""
    samples = premultiplied(truth.pixels, truth.alpha)  # colours that nobody sees are not scored
    x = crop_to_multiple(as_channels(samples, restorer.prior.card.network.channels), scale)
    y = degrade(Photo(x), Downsample(scale), noise_std, restorer.settings.seed or 0)
    y = y.with_pixels(as_stored(y.pixels))
    result = restorer.prepare(y).restore()
    pictures: dict[float | str, Any] = {"bicubic": resize(y.pixels, *x.shape[:2])}
    pictures |= {f: result.images[f].pixels for f in sorted(result.images)}
    scores = [
        Scores(
            name,
            dial,
            psnr_luma(image, x, scale),
            ssim_luma(image, x, scale),
            psnr_rgb(image, x, scale),
            mse(image, x),
            float(sliced_w2([image], [x])[0]),
            float(energy_w2([image], [x]).mean[0]),
        )
        for dial, image in pictures.items()
    ]
    return scores, result.run


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no infinity: the PSNR of an exact restoration becomes null."""
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in r.items()} for r in rows]
