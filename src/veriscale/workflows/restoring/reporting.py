"""A restoration as a report."""

from typing import Any

import torch

from veriscale.imaging.colour import premultiplied
from veriscale.physics.measurement_noise import ROUNDING
from veriscale.report.page import Report, TrustView, render_report
from veriscale.workflows.certifying.mask import Mask
from veriscale.workflows.restoring.restoration import Restoration

MEASURED = (
    "The share of the extra error at each position of the dial was measured on other photographs, not on this one."
)

PILOTED = "The share of the extra error at each position of the dial is estimated from draws on this very picture."


def report_html(restoration: Restoration, title: str) -> str:
    """One self-contained page: dial positions, spread, residual, draws and run facts."""
    run = restoration.run
    lowest, y = restoration.images[min(restoration.images)], restoration.measurement
    operator = restoration.operator
    seen, measured = (
        torch.from_numpy(premultiplied(p.pixels, p.alpha).transpose(2, 0, 1).copy())[None] for p in (lowest, y)
    )
    gap = (operator.forward(seen) - measured).abs()
    support = operator.support(tuple(measured.shape[1:]))
    residual = (gap if support is None else gap * support)[0].permute(1, 2, 0).numpy()
    return render_report(
        Report(
            title=title,
            measurement=restoration.measurement.pixels,
            dials=[(f, photo.pixels) for f, photo in restoration.images.items()],
            spread=restoration.std,
            residual=residual,
            expected_residual=max(run.get("noise_std", 0.0), ROUNDING),
            draws=[photo.pixels for photo in restoration.samples],
            facts=_facts(restoration),
            trust=None if restoration.mask is None else _trust(restoration, restoration.mask),
            notes=_notes(run),
            sigma0=run.get("sigma0"),
        )
    )


def _facts(restoration: Restoration) -> list[tuple[str, str]]:
    run = restoration.run
    agreement = ("agreement with the measurement", restoration.verdict.sentence())
    seconds = ", ".join(f"{k} {v:g} s" for k, v in run["seconds"].items())
    if run["mode"] == "tool":
        return [
            ("tool", f"{run['command']} ({run['tool'][:12]})"),
            ("operator", run["operator"]),
            ("measurement noise", run["noise"]),
            agreement,
            ("time", seconds),
            ("version", run["versions"]["veriscale"]),
        ]
    return [
        ("prior", f"{run['prior']['name']} ({run['prior']['sha256'][:12]})"),
        ("mode", run["mode"]),
        ("operator", run["operator"]),
        *([("steps", run["chain"])] if "chain" in run else []),
        ("measurement noise", f"{run['noise']} (standard deviation {run['noise_std']:.4f})"),
        ("anchor, posterior", f"{run['anchor']}, {run['posterior']}"),
        agreement,
        ("path", run["path"]),
        ("sampler", f"{run['sampler']}, {run['steps']} steps, {run['evaluations']} evaluations in all"),
        ("seed", str(run["seed"])),
        *([("temperature", f"{run['temperature']:.3g} times the draws' own spread")] if "temperature" in run else []),
        ("device", f"{run['device']}, {run['dtype']}"),
        ("time", seconds),
        ("version", run["versions"]["veriscale"]),
    ]


def _notes(run: dict[str, Any]) -> list[str]:
    return [] if run["mode"] == "tool" or "sigma0" in run else [MEASURED if run["mode"] == "conditional" else PILOTED]


def _trust(restoration: Restoration, mask: Mask) -> TrustView:
    b = mask.certificate.binding
    return TrustView(
        picture=restoration.images[mask.dial or 0.0].pixels,
        dial=mask.dial,
        trusted=mask.trusted,
        promise=mask.sentences(),
        facts=[
            ("risk level α", mask.alpha),
            ("trusted", f"{mask.share:.1%} of the pixels"),
            ("loss", b.loss if b.tau is None else f"{b.loss}, off by more than {b.tau:g}"),
            ("discrepancy", b.discrepancy),
            ("score", b.score),
            ("mode", b.mode),
            ("calibrated on", f"{b.n} {b.unit.kind}s"),
            ("drift check", f"p = {mask.drift:.2g}"),
            ("certificate", mask.certificate.sha256[:12]),
        ],
        warning=mask.warning,
    )
