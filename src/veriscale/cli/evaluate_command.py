"""`veriscale evaluate`."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, say, summary
from veriscale.cli.options import takes_settings

if TYPE_CHECKING:
    from veriscale.workflows.certifying.trust_evaluation import TrustEvaluation
    from veriscale.workflows.restoring.evaluation import Evaluation


@takes_settings
def evaluate(
    directory: Path,
    *,
    device: str = "auto",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    prior: str | None = None,
    certificate: str | None = None,
    alpha: str | None = None,
    **given: Any,
) -> int:
    """Score a prior, or a certificate, on photographs that serve as truth: each is degraded, restored and compared.

    Parameters
    ----------
    directory
        A folder of photographs, or one file.
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
    prior
        A name or a file.
    certificate
        Score its masks instead: risk, trusted share and PSNR inside at every level; it gives the settings.
    alpha
        A level, or several as 0.02,0.05; a sweep by default.
    """
    from veriscale.errors import InputError
    from veriscale.imaging.atomic import make_folder, refuse_existing
    from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate
    from veriscale.workflows.restoring.evaluation import evaluate as score
    from veriscale.workflows.restoring.restoration import write_json

    target, figure = (None, None) if output is None else (output / "evaluation.json", output / "trust.png")
    for path in (target, figure if certificate is not None else None):
        if path is not None:
            refuse_existing(path, force)
    if certificate is None and (alpha, given.get("command"), given.get("score_files")) != (None, None, None):
        raise InputError("`--alpha`, `--command` and `--score-files` belong to a `--certificate`, and none is given.")
    with meter(quiet) as shown, redirect_stdout(sys.stderr):  # whatever a user's own code prints
        if certificate is None:
            found = score(
                directory,
                prior,
                device=device,
                progress=shown,
                tell=complain,
                say=lambda line: say(line, quiet),
                **given,
            )
        else:
            kept = evaluate_certificate(
                directory,
                certificate,
                prior,
                alphas=alpha,
                device=device,
                progress=shown,
                tell=lambda line: say(line, quiet),
                **given,
            )
    if certificate is None:
        if target is not None:
            make_folder(target.parent)
            write_json(found.as_dict(), target, force)
        _print_scores(found, as_json)
        if not as_json:
            return summary(len(found.failed), len(found.failed) + found.pictures)
        return 2 if found.failed else 0
    if target is not None and figure is not None:
        make_folder(target.parent)
        write_json(kept.as_dict(), target, force)
        kept.draw(figure, force)
    _print_masks(kept, as_json)
    return 2 if kept.failed else 0


def _print_scores(found: "Evaluation", as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.as_dict()["summary"], indent=2, allow_nan=False))
        return
    s = found.settings
    print(f"{found.pictures} pictures, ×{s['scale']}, noise {s['noise_std']:g}, prior {s['prior']}")
    print(f"{'dial':>8} {'PSNR Y':>8} {'SSIM Y':>8} {'PSNR RGB':>9} {'sliced W2':>10} {'energy W2':>10}")
    for row in found.summary():
        name = row["dial"] if isinstance(row["dial"], str) else f"{row['dial']:g}"
        print(
            f"{name:>8} {row['psnr_luma']:8.2f} {row['ssim_luma']:8.4f} {row['psnr_rgb']:9.2f} "
            f"{row['sliced_w2']:10.2f} {row['energy_w2']:10.3f}"
        )


def _print_masks(kept: "TrustEvaluation", as_json: bool) -> None:
    if as_json:
        print(json.dumps(kept.as_dict(), indent=2))
        return
    print(f"{len(kept.outcomes)} pictures, loss {kept.certificate.binding.loss}; each level is a promise by itself")
    print("   alpha     risk   95 % interval   trusted   median    empty  PSNR inside")
    for r in kept.rows():
        psnr = "-" if r.psnr is None else f"{r.psnr:.2f}"
        print(
            f"{r.alpha:>8} {r.risk:8.4f}   {r.low:.4f}-{r.high:.4f} {r.trusted:9.1%} {r.median:8.1%} {r.empty:8.1%} "
            f"{psnr:>12}"
        )
