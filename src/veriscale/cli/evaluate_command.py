"""`veriscale evaluate`."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, say, summary
from veriscale.cli.options import number, takes_settings

if TYPE_CHECKING:
    from veriscale.workflows.certifying.trust_evaluation import TrustEvaluation
    from veriscale.workflows.score_table import Evaluation

# title, number, width and digits
_COLUMNS = {
    "pictures": (
        *(("PSNR Y", "psnr_luma", 8, 2), ("SSIM Y", "ssim_luma", 8, 4), ("PSNR RGB", "psnr_rgb", 9, 2)),
        *(("sliced W2", "sliced_w2", 10, 2), ("energy W2", "energy_w2", 10, 3)),
    ),
    "scans": (
        *(("PSNR", "psnr", 8, 2), ("SSIM", "ssim", 8, 4)),
        *(("PSNR all", "psnr_all", 9, 2), ("SSIM all", "ssim_all", 9, 4)),
    ),
}


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
    volume: Annotated[int | None, number("volume", int)] = None,
    **given: Any,
) -> int:
    """Score a prior on photographs or scans that serve as truth, or a certificate on photographs.

    Each is degraded, restored and compared.

    Parameters
    ----------
    directory
        A folder of photographs, or of scans (NIfTI files, DICOM series); or one of these.
    device
        auto, cuda, mps or cpu.
    output
        A folder for evaluation.json with the numbers of every picture or scan, and for a certificate trust.png.
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
    volume
        Which volume of scans that hold several, counted from 0.
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
    if certificate is not None and volume is not None:
        raise InputError("`--volume` is of scans, and `--certificate` of photographs; give one.")
    with meter(quiet) as shown, redirect_stdout(sys.stderr):  # whatever a user's own code prints
        if certificate is None:
            found = score(
                directory,
                prior,
                index=volume,
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
    s, columns = found.settings, _COLUMNS[found.kind]
    measured = f"{s['operator']}, noise {s['noise']}" if "operator" in s else f"×{s['scale']}, noise {s['noise_std']:g}"
    counted = found.kind if found.pictures != 1 else found.kind.removesuffix("s")
    print(f"{found.pictures} {counted}, {measured}, prior {s['prior']}")
    print(" ".join([f"{'dial':>8}", *(f"{title:>{width}}" for title, _, width, _ in columns)]))
    for row in found.summary():
        name = row["dial"] if isinstance(row["dial"], str) else f"{row['dial']:g}"
        numbers = (f"{row[key]:{width}.{digits}f}" for _, key, width, digits in columns)
        print(" ".join([f"{name:>8}", *numbers]))


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
