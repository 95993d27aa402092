"""A restoration as a report."""

import torch

from veriscale.imaging.colour import premultiplied
from veriscale.physics.measurement_noise import ROUNDING
from veriscale.report.page import Report, render_report
from veriscale.workflows.restoration import Restoration

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
        torch.from_numpy(premultiplied(p.samples, p.alpha).transpose(2, 0, 1).copy())[None] for p in (lowest, y)
    )
    gap = (operator.forward(seen) - measured).abs()
    support = operator.support(tuple(measured.shape[1:]))
    residual = (gap if support is None else gap * support)[0].permute(1, 2, 0).numpy()
    seconds = ", ".join(f"{k} {v:g} s" for k, v in run["seconds"].items())
    return render_report(
        Report(
            title=title,
            measurement=restoration.measurement.samples,
            dials=[(f, photo.samples) for f, photo in restoration.images.items()],
            spread=restoration.std,
            residual=residual,
            expected_residual=max(run["noise_std"], ROUNDING),
            draws=[photo.samples for photo in restoration.samples],
            facts=[
                ("prior", f"{run['prior']['name']} ({run['prior']['sha256'][:12]})"),
                ("mode", run["mode"]),
                ("operator", run["operator"]),
                ("measurement noise", f"{run['noise']} (standard deviation {run['noise_std']:.4f})"),
                ("anchor, posterior", f"{run['anchor']}, {run['posterior']}"),
                ("agreement with the measurement", restoration.verdict.sentence()),
                ("path", run["path"]),
                ("sampler", f"{run['sampler']}, {run['steps']} steps, {run['evaluations']} evaluations in all"),
                ("seed", str(run["seed"])),
                ("device", f"{run['device']}, {run['dtype']}"),
                ("time", seconds),
                ("version", run["versions"]["veriscale"]),
            ],
            notes=[MEASURED if run["mode"] == "conditional" else PILOTED],
        )
    )
