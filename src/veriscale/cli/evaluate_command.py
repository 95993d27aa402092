"""`veriscale evaluate`."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, named


def evaluate(
    directory: Path,
    *,
    prior: str | None = None,
    scale: int | None = None,
    noise: str | None = None,
    dial: str | None = None,
    path: str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    certificate: str | None = None,
    alpha: str | None = None,
    command: str | None = None,
    score_files: str | None = None,
    timeout: float | None = None,
    device: str = "auto",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Score a prior, or a certificate, on photographs that serve as truth: each is degraded, restored and compared.

    Parameters
    ----------
    directory
        A folder of photographs, or one file.
    prior
        A name or a file.
    scale
        Factor; the prior's largest by default.
    noise
        Standard deviation of the noise added to the measurement.
    dial
        Positions, as 0,0.5,1.
    path
        renoise or interpolate.
    sampler
        heun, dpm-solver++ or ancestral.
    steps
        Steps of the sampler.
    seed
        Of all noise.
    certificate
        Score its masks instead: risk, trusted share and PSNR inside at every level; it gives the settings.
    alpha
        A level, or several as 0.02,0.05; a sweep by default.
    command
        The tool of the certificate.
    score_files
        Your own maps, where the certificate's score is files.
    timeout
        Seconds a tool may take for one run.
    device
        auto, cuda, mps or cpu.
    output
        A folder for evaluation.json with the numbers of every picture, and for a certificate its curves, trust.png.
    force
        Replace an existing evaluation.json.
    as_json
        Print the summary as JSON.
    quiet
        No progress.
    """
    from veriscale.cli.evaluate_trust import TrustArguments, evaluate_trust
    from veriscale.errors import InputError
    from veriscale.imaging.atomic import make_folder, refuse_existing
    from veriscale.physics.measurement_noise import GaussianNoise, parse_noise
    from veriscale.traversal.dial import PATH
    from veriscale.traversal.renoise import SAMPLER, STEPS
    from veriscale.workflows.evaluation import Evaluation
    from veriscale.workflows.evaluation import evaluate as score
    from veriscale.workflows.inputs import collect
    from veriscale.workflows.outputs import write_json
    from veriscale.workflows.request import parse_dials
    from veriscale.workflows.restoration import load_prior

    target = None if output is None else output / "evaluation.json"
    if target is not None:
        refuse_existing(target, force)
    if certificate is not None:
        own = {"scale": scale, "noise": noise, "dial": dial, "path": path, "sampler": sampler, "steps": steps}
        arguments = TrustArguments(certificate, alpha, prior, command, score_files, timeout, device, seed, own)
        return evaluate_trust(directory, arguments, output, force, as_json, quiet)
    if (alpha, command, score_files) != (None, None, None):
        raise InputError("--alpha, --command and --score-files belong to a --certificate, and none is given.")
    dials, model = parse_dials(dial or "0"), parse_noise(noise or "0")
    if not isinstance(model, GaussianNoise):
        raise InputError(f"Noise {model} cannot be evaluated; a standard deviation such as 0.02 can.")
    noise_std = model.std
    items, _ = collect([directory])
    loaded = load_prior(prior or "photo", device)
    parts, failed = [], []
    with meter(quiet) as shown:
        for k, item in enumerate(items):
            shown("pictures", k, len(items))
            try:
                part = score(
                    [item.path],
                    loaded,
                    scale=scale,
                    noise=noise_std,
                    dial=dials,
                    path=PATH if path is None else path,
                    sampler=SAMPLER if sampler is None else sampler,
                    steps=STEPS if steps is None else steps,
                    seed=seed,
                )
            except InputError as error:
                if len(items) == 1:
                    raise
                failed.append(named(error, item.path))
                complain(failed[-1])
                continue
            parts.append(part)
    if not parts:
        raise InputError(f"None of the {len(items)} pictures in {directory} could be scored.")
    result = Evaluation([s for part in parts for s in part.scores], parts[0].settings)
    if target is not None:
        make_folder(target.parent)
        write_json(result.as_dict(), target, force)
    if as_json:
        print(json.dumps(result.as_dict()["summary"], indent=2, allow_nan=False))
        return 2 if failed else 0
    print(f"{len(parts)} pictures, ×{result.settings['scale']}, noise {noise_std:g}, prior {loaded.card.name}")
    print(f"{'dial':>8} {'PSNR Y':>8} {'SSIM Y':>8} {'PSNR RGB':>9} {'sliced W2':>10} {'energy W2':>10}")
    for row in result.summary():
        name = row["dial"] if isinstance(row["dial"], str) else f"{row['dial']:g}"
        print(
            f"{name:>8} {row['psnr_luma']:8.2f} {row['ssim_luma']:8.4f} {row['psnr_rgb']:9.2f} "
            f"{row['sliced_w2']:10.2f} {row['energy_w2']:10.3f}"
        )
    if failed:
        complain(f"{len(failed)} of {len(items)} inputs failed: " + " | ".join(failed))
        return 2
    return 0
