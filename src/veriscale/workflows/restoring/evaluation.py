"""How good a prior is on somebody's pictures: distortion and perception along the dial; scans have scores of theirs."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, about
from veriscale.imaging.colour import as_channels, premultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import as_stored
from veriscale.metrics.distortion import mse, psnr_luma, psnr_rgb, ssim_luma
from veriscale.metrics.draw_scores import draw_sums
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise, Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.runtime.device import Device
from veriscale.settings import Asked, Settings, as_kind, as_names, check_functions, positions, settled
from veriscale.traversal.method import Tell
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.draw_table import DrawTable, Tempered, tempered
from veriscale.workflows.inputs import OF_SCANS, collect
from veriscale.workflows.known_files import known_warning
from veriscale.workflows.opening import PHOTOGRAPHS, load_prior, usual_prior
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.method_choice import check_values, known_scale
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import asked_guides, not_guiding
from veriscale.workflows.scans.reading import takes_scan
from veriscale.workflows.scans.scan_evaluation import evaluate_scans
from veriscale.workflows.score_table import Evaluation

_WITH_A_CERTIFICATE = ("certificate", "alpha", "command", "score_files", "timeout")


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

    kind: ClassVar[str] = "pictures"
    names: ClassVar[Sequence[str]] = ("picture",)
    chief: ClassVar[str] = "psnr_luma"


def evaluate(
    pictures: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    index: int | None = None,
    guides: Mapping[str, str | os.PathLike[str]] | None = None,
    another_patient: bool = False,
    bound: bool = False,
    device: Device = "auto",
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
    say: Callable[[str], None] = lambda line: None,
    **asked: Unpack[Asked],
) -> Evaluation:
    """Score a prior on photographs or scans that serve as truth: each is degraded, restored and compared.

    Photographs are measured in 8 bits, scans in floating point and as `evaluate_scans` says.

    Args:
        pictures: files, or folders of them: photographs, or NIfTI files and folders of a DICOM series.
        prior: name, path or a loaded prior; by default `photo`, of scans `mri`.
        index: of scans in files of several volumes, which one is taken, counted from 0.
        guides: of scans, as of `restore`: by name a folder in which there is one for each, or "auto" for edges. They
            are not degraded, and those that lie among the scans are not scored.
        another_patient: as of `restore`.
        bound: with guides, find the terms of the bound on their risk at several noise levels.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        progress: told after every picture, or after every part of a scan.
        tell: told in words which pictures cannot be scored, and of scans by number; the only one that is raises
            instead. And how many the prior has learned from.
        say: told what a folder leaves out.
        asked: settings as of `restore`: scale, noise (a standard deviation), dial, samples, path, sampler, steps
            and seed; of scans also operator, in plane or `slice`, and noise of any kind.

    Raises:
        InputError: a setting cannot be used, or no picture can, or there are photographs and scans.
    """
    check_functions(progress=progress, tell=tell, say=say)
    if bound and not guides:
        raise InputError("`--bound` is on the risk of fused guides, and none is given; add `--guide`.")
    v = settled(as_settings(asked))
    plain = [f.name for f in fields(Settings) if "evaluate" in f.metadata["commands"]]
    if others := [k for k in as_settings(asked).said if k not in plain or k in _WITH_A_CERTIFICATE]:
        raise InputError(f"`--{others[0].replace('_', '-')}` is no setting of an evaluation; leave it out.")
    positions(v.dial or "0")  # what is wrong for every picture is said once
    check_values(v)
    given = as_names("pictures", pictures)
    items, _ = collect(given, say=say, scans=True, truths=True)
    scans = [item.path for item in items if takes_scan(item.path)]
    if scans and len(scans) < len(items):
        raise InputError("There are photographs and scans, which have scores of their own; evaluate them in turn.")
    if scans:
        operator, noise = asked.get("operator"), asked.get("noise")
        loaded = load_prior(usual_prior(True, guides) if prior is None else prior, device)
        wanted = asked_guides(loaded, guides or {}, another_patient)
        return evaluate_scans(
            scans if wanted is None else not_guiding(scans, wanted, say),
            loaded,
            v,
            operator=operator if isinstance(operator, Operator) else None,
            noise=noise if isinstance(noise, Noise) else None,
            index=None if index is None else as_kind("index", index, int),
            guides=wanted,
            bound=bound,
            progress=progress,
            tell=tell,
            say=say,
        )
    if v.operator is not None:
        raise InputError("`--operator` is no setting of an evaluation of photographs; leave it out.")
    if index is not None or guides:
        raise InputError(OF_SCANS.format("guide" if guides else "volume"))
    model = parse_noise(v.noise or "0")
    if not isinstance(model, GaussianNoise):
        raise InputError(f"Noise {model} cannot be evaluated; a standard deviation such as 0.02 can.")
    loaded = load_prior(PHOTOGRAPHS if prior is None else prior, device)
    scale = known_scale(loaded, v.scale)
    restorer = PriorRestorer(loaded, replace(v, scale=scale), noise=model)
    run: dict[str, Any] = {}
    scores: list[Scores] = []
    draws: dict[float, DrawTable] = {}
    failed: list[str] = []
    hashes: dict[str, list[str]] = {}
    for k, item in enumerate(items):
        progress("pictures", k, len(items))
        try:
            found, sums, run = _scored(read_photo(item.path), item.path.name, restorer, scale, model.std)
            scores += found
            hashes[str(item.path)] = [hashlib.sha256(item.path.read_bytes()).hexdigest()]
            for temperature, of in sums.items():
                draws.setdefault(temperature, DrawTable(temperature)).add({"picture": item.path.name}, of)
        except InputError as error:
            if len(items) == 1:
                raise
            failed.append(about(error, item.path))
            tell(failed[-1])
    if not scores:
        raise InputError(f"None of the {len(items)} pictures in {', '.join(given)} could be scored.")
    for sentence in known_warning(loaded, hashes, Scores.kind):
        tell(sentence)
    settings = {
        "scale": scale,
        "noise_std": model.std,
        **{k: run[k] for k in ("path", "sampler", "steps", "seed", *(["samples"] if v.samples else []))},
    }
    facts = {"prior": loaded.card.name, "sha256": loaded.card.tensors_sha256, **settings}
    return Evaluation(scores, facts, failed, draws.pop(1.0, None), next(iter(draws.values()), None))


def _scored(
    truth: Photo, name: str, restorer: PriorRestorer, scale: int, noise_std: float
) -> tuple[list[Scores], Tempered, dict[str, Any]]:
    """Every dial position of one photograph and the bicubic baseline; what its draws say; the facts of the run."""
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
    if not result.samples:
        return scores, {}, result.run
    drawn, seed = [p.pixels for p in result.samples], restorer.settings.seed or 0
    return scores, tempered(result.run, lambda t: draw_sums(drawn, x, seed, temperature=t)), result.run
