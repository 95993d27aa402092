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
    from veriscale.workflows.draw_table import DrawTable
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
_OF_DRAWS = (
    *(("spread–skill", "spread_skill", 12, 3), ("CRPS", "crps", 8, 5)),
    *((f"{level} %", f"coverage_{level}", 7, 3) for level in (50, 80, 90)),
    *((f"width {level}", f"width_{level}", 8, 4) for level in (50, 80, 90)),
    *(("AUSE", "ause", 7, 3), ("Spearman", "spearman", 8, 3), ("rank dist.", "rank_distance", 10, 3)),
)


@takes_settings
def evaluate(
    directory: Path,
    *,
    guide: Annotated[list[str] | None, Parameter(negative="")] = None,
    another_patient: Annotated[bool, Parameter(negative="")] = False,
    bound: Annotated[bool, Parameter(negative="")] = False,
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
    """Score a prior or a certificate on photographs or scans that serve as truth.

    Each is degraded, restored and compared.

    Parameters
    ----------
    directory
        A folder of photographs, or of scans (NIfTI files, DICOM series); or one of these.
    guide
        Of scans: NAME=FOLDER, in which each scan has a guide of this modality, which the prior's guides know, under a
        name like its own, the folder of the scans itself for one; or edges=auto. Any number.
    another_patient
        Take guides whose DICOM headers tell another patient.
    bound
        With guides, print the terms of the bound on their risk at several noise levels: mean weights and losses of the
        guides, the covariance of both, the ambiguity, and the gap to the risk of the prior itself.
    device
        auto, cuda, mps or cpu.
    output
        A folder for evaluation.json with the numbers of every picture or scan, for a certificate trust.png, and with
        --samples draws.png.
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
    from veriscale.imaging.atomic import make_folder, refuse_existing, unmade_on_failure
    from veriscale.report.figure import empty_figure
    from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate
    from veriscale.workflows.restoring.evaluation import evaluate as score
    from veriscale.workflows.restoring.restoration import write_json
    from veriscale.workflows.scans.asked_guides import split_guides

    drawn = "trust.png" if certificate is not None else "draws.png" if given.get("samples") else None
    target = None if output is None else output / "evaluation.json"
    figure = None if output is None or drawn is None else output / drawn
    for path in (target, figure):
        if path is not None:
            refuse_existing(path, force)
    if figure is not None:
        empty_figure(1, 1)  # what it lacks is said before the work
    if certificate is None and (alpha, given.get("command"), given.get("score_files")) != (None, None, None):
        raise InputError("`--alpha`, `--command` and `--score-files` belong to a `--certificate`, and none is given.")
    if certificate is not None and bound:
        raise InputError("`--bound` is of scores, and `--certificate` asks for those of masks; give one.")
    if certificate is not None and volume is not None:
        raise InputError(
            "`--volume` chooses among several of a file, and `--certificate` takes files of one volume; give one."
        )
    made = [] if output is None else make_folder(output)
    with unmade_on_failure(made), meter(quiet) as shown, redirect_stdout(sys.stderr):  # a user's own code may print
        if certificate is None:
            found = score(
                directory,
                prior,
                index=volume,
                guides=split_guides(guide or ()),
                another_patient=another_patient,
                bound=bound,
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
                guides=split_guides(guide or ()),
                another_patient=another_patient,
                device=device,
                progress=shown,
                tell=complain,
                say=lambda line: say(line, quiet),
                **given,
            )
    if certificate is None:
        if target is not None:
            write_json(found.as_dict(), target, force)
        if figure is not None and found.draws is not None:
            found.draws.draw(figure, found.kind, force)
        _print_scores(found, as_json)
        if not as_json:
            return summary(len(found.failed), len(found.failed) + found.pictures)
        return 2 if found.failed else 0
    if target is not None and figure is not None:
        write_json(kept.as_dict(), target, force)
        kept.draw(figure, force)
    _print_masks(kept, as_json)
    if not as_json:
        return summary(len(kept.failed), len(kept.failed) + len(kept.outcomes))
    return 2 if kept.failed else 0


def _print_scores(found: "Evaluation", as_json: bool) -> None:
    if as_json:
        content = found.as_dict()
        drawn = [k for k in ("draws", "tempered", "bound") if k in content]
        shown = {k: content[k] for k in ("summary", *drawn)} if drawn else content["summary"]
        print(json.dumps(shown, indent=2, allow_nan=False))
        return
    s, columns = found.settings, _COLUMNS[found.kind]
    measured = f"{s['operator']}, noise {s['noise']}" if "operator" in s else f"×{s['scale']}, noise {s['noise_std']:g}"
    counted = found.kind if found.pictures != 1 else found.kind.removesuffix("s")
    parts = {k: "" if n == found.pictures else f" ({n} of {found.pictures})" for k, n in s.get("guided_by", {}).items()}
    by = f", guided by {', '.join(name + part for name, part in parts.items())}" if parts else ""
    print(f"{found.pictures} {counted}, {measured}, prior {s['prior']}{by}")
    print(" ".join([f"{'dial':>8}", *(f"{title:>{width}}" for title, _, width, _ in columns)]))
    for row in found.summary():
        name = row["dial"] if isinstance(row["dial"], str) else f"{row['dial']:g}"
        numbers = (f"{row[key]:{width}.{digits}f}" for _, key, width, digits in columns)
        print(" ".join([f"{name:>8}", *numbers]))
    for table in filter(None, (found.draws, found.tempered)):
        _print_draws(table, found.kind)
    if found.bound is not None:
        _print_bound(found.bound)


def _print_bound(rows: list[dict[str, Any]]) -> None:
    print("\nBound on the risk of fused guides: E Σ wℓ = Σ E[w]E[ℓ] + Σ Cov(w, ℓ); 95 % over blocks of slices")
    for row in rows:
        at = "the mean" if row["level"] is None else f"noise level {row['level']:g} σ_d"
        print(f"  {at}, {row['blocks']} blocks")
        for name in row["weight"]:
            print(f"    {name:<10} E[w] {_ranged(row['weight'][name])}   E[ℓ] {_ranged(row['loss'][name])}")
        named = {"covariance": "Σ Cov(w, ℓ)", "fused": "E Σ wℓ", "ambiguity": "ambiguity", "gap": "R(D) − R(f̄)"}
        for key, title in named.items():
            print(f"    {title:<13} {_ranged(row[key])}")


def _ranged(told: list[float | None]) -> str:
    estimate, low, high = told
    return f"{estimate:.3g}" if low is None or high is None else f"{estimate:.3g} ({low:.3g} to {high:.3g})"


def _print_draws(draws: "DrawTable", kind: str) -> None:
    facts, one = draws.facts, kind.removesuffix("s")
    where = "voxels in the foreground of the measurements" if kind == "scans" else "pixels and channels"
    at = f", times {draws.temperature:.3g} from their mean, as .std is" if draws.temperature != 1 else ""
    print(f"\n{facts['samples']} draws at dial 1{at}, {facts['intervals']}-intervals, {facts['places']} {where}")
    names = [*(str(row[one]) for row in draws.rows), "pooled"]
    width = max(8, *map(len, names))
    print(" ".join([f"{one:>{width}}", *(f"{title:>{wide}}" for title, _, wide, _ in _OF_DRAWS)]))
    for name, row in zip(names, [*draws.rows, draws.all.numbers()], strict=True):
        print(" ".join([f"{name:>{width}}", *(f"{row[key]:{wide}.{digits}f}" for _, key, wide, digits in _OF_DRAWS)]))


def _print_masks(kept: "TrustEvaluation", as_json: bool) -> None:
    if as_json:
        print(json.dumps(kept.as_dict(), indent=2))
        return
    binding, count = kept.certificate.binding, len(kept.outcomes)
    print(f"{count} {binding.unit.words[count != 1]}, loss {binding.loss}; each level is a promise by itself")
    print("   alpha     risk   95 % interval   trusted   median    empty  PSNR inside")
    rows = kept.rows()
    for r in rows:
        psnr = "-" if r.psnr is None else f"{r.psnr:.2f}"
        print(
            f"{r.alpha:>8} {r.risk:8.4f}   {r.low:.4f}-{r.high:.4f} {r.trusted:9.1%} {r.median:8.1%} {r.empty:8.1%} "
            f"{psnr:>12}"
        )
    for why in [w for w in (kept.certificate.infeasible(r.alpha) for r in rows) if w][-1:]:
        print(why)  # of the largest level that is too small; of others it is alike
