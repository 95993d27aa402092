"""A restoration as a report."""

import numpy as np

from veriscale.imaging.colour import premultiplied
from veriscale.physics.measurement_noise import ROUNDING
from veriscale.physics.operator import parse_operator
from veriscale.report.page import Report, render_report
from veriscale.workflows.restoration import Restoration

MEASURED = (
    "The share of the extra error at each position of the dial was measured on other photographs, not on this one."
)


def report_html(restoration: Restoration, title: str) -> str:
    """One self-contained page: dial positions, spread, residual, draws and run facts."""
    run = restoration.run
    lowest, y = restoration.images[min(restoration.images)], restoration.measurement
    measured_again = parse_operator(run["operator"]).forward(premultiplied(lowest.samples, lowest.alpha))
    residual = np.abs(measured_again - premultiplied(y.samples, y.alpha))
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
                ("measurement noise", f"{run['noise_std']:.4f}"),
                ("path", run["path"]),
                ("sampler", f"{run['sampler']}, {run['steps']} steps, {run['evaluations']} evaluations in all"),
                ("seed", str(run["seed"])),
                ("device", f"{run['device']}, {run['dtype']}"),
                ("time", seconds),
                ("version", run["versions"]["veriscale"]),
            ],
            notes=[MEASURED],
        )
    )
