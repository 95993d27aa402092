"""`veriscale evaluate --certificate`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.cli.console import meter, say
from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder, refuse_existing
from veriscale.report.trust_figure import TrustCurves, trust_figure
from veriscale.trust.psnr_floor import psnr_floor
from veriscale.trust.risk_level import exact
from veriscale.workflows.certified import find_certificate
from veriscale.workflows.command_template import parse_command
from veriscale.workflows.inputs import collect
from veriscale.workflows.outputs import write_json
from veriscale.workflows.restoration import load_certified
from veriscale.workflows.restorers import TIMEOUT, Restorer
from veriscale.workflows.tool_restoration import certified_tool
from veriscale.workflows.trust_evaluation import ALPHAS, TrustEvaluation, certified_restorer, evaluate_certificate


@dataclass(frozen=True)
class TrustArguments:
    """What the command line says; `own` are settings that the certificate fixes."""

    certificate: str
    alpha: str | None
    prior: str | None
    command: str | None
    score_files: str | None
    timeout: float | None
    device: str
    seed: int
    own: dict[str, Any]


def evaluate_trust(
    directory: Path, arguments: TrustArguments, output: Path | None, force: bool, as_json: bool, quiet: bool
) -> int:
    """Print and write what a certificate's masks are worth on other photographs; returns the exit code."""
    v = arguments
    if v.seed < 0:
        raise InputError(f"--seed {v.seed} is below 0; give 0 or more.")
    if given := [k for k, value in v.own.items() if value is not None]:
        raise InputError(f"--{given[0]} is fixed by the certificate; leave it out.")
    targets = [] if output is None else [output / "evaluation.json", output / "trust.png"]
    for target in targets:
        refuse_existing(target, force)
    held = find_certificate(v.certificate)
    usual = tuple(held.binding.declared) or ALPHAS
    levels = usual if v.alpha is None else tuple(w.strip() for w in v.alpha.split(","))
    held.thresholds(levels)  # a level that is none is refused before the work
    restorer: Restorer
    if v.command is not None:
        restorer = certified_tool(parse_command(v.command), held, v.timeout or TIMEOUT, v.score_files)
    else:
        restorer = certified_restorer(held, load_certified(v.prior, held, v.device), v.score_files)
    files = [i.path for i in collect([directory])[0]]
    with meter(quiet) as shown:
        result = evaluate_certificate(
            files, restorer, held, levels, seed=v.seed, progress=shown, tell=lambda line: say(line, quiet)
        )
    if output is not None:
        make_folder(output)
        write_json(result.as_dict(), targets[0], force)
        trust_figure(targets[1], curves(result), force)
    if as_json:
        print(json.dumps(result.as_dict(), indent=2))
        return 2 if result.failed else 0
    print(f"{len(result.outcomes)} pictures, loss {held.binding.loss}; each level is a promise by itself")
    print("   alpha     risk   95 % interval   trusted   median    empty  PSNR inside")
    for r in result.rows():
        psnr = "-" if r.psnr is None else f"{r.psnr:.2f}"
        print(
            f"{r.alpha:>8} {r.risk:8.4f}   {r.low:.4f}-{r.high:.4f} {r.trusted:9.1%} {r.median:8.1%} {r.empty:8.1%} "
            f"{psnr:>12}"
        )
    return 2 if result.failed else 0


def curves(result: TrustEvaluation) -> TrustCurves:
    """For the figure."""
    rows, b = result.rows(), result.certificate.binding
    alphas = [float(exact(r.alpha)) for r in rows]
    floors = [psnr_floor(a, b.loss, b.discrepancy) for a in alphas]
    known = [f for f in floors if f is not None]
    return TrustCurves(
        alphas=np.array(alphas),
        risk=np.array([r.risk for r in rows]),
        trusted=np.array([r.trusted for r in rows]),
        empty=np.array([r.empty for r in rows]),
        psnr=np.array([np.nan if r.psnr is None else r.psnr for r in rows]),
        floor=np.array(known) if len(known) == len(rows) and b.mode == "mean" else None,
        n_pictures=len(result.outcomes),
        loss=b.loss,
    )
