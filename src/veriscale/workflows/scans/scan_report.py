"""A restored scan as a report that does not tell whose it is."""

from typing import Any

from veriscale.report.volume_page import VolumeReport, VolumeTrust, render_volume_report
from veriscale.workflows.certifying.mask import Mask
from veriscale.workflows.scans.guide_findings import finding_facts, finding_lines
from veriscale.workflows.scans.scan_restoration import ScanRestoration, operator_told

MEASURED = "The share of the extra error at each position of the dial was measured on other pictures, not on this scan."

PILOTED = "The share of the extra error at each position of the dial is estimated from draws on this very scan."


def scan_report_html(result: ScanRestoration) -> str:
    """One self-contained page of at most 20 MB: planes through every dial position, measurement, spread, run facts.

    It holds samples, where they lie, and what was done; no name, path, date or text of a header.

    Args:
        result: of a scan; its `measurement` is what the page compares with.

    Raises:
        InputError: as `render_volume_report`.
    """
    run = result.run
    inner = any(0 < f < 1 for f in result.images)
    return render_volume_report(
        VolumeReport(
            measurement=result.measurement,
            dials=list(result.images.items()),
            spread=result.std,
            trust=None if result.mask is None else _trust(result.mask),
            facts=_facts(run),
            weights=result.weights,
            notes=[
                *finding_lines(run.get("guide_findings", {})),
                *([MEASURED if run["mode"] == "conditional" else PILOTED] if inner else []),
            ],
        )
    )


def _trust(mask: Mask) -> VolumeTrust:
    if mask.counted is None or mask.dial is None:
        raise ValueError("the mask of a scan has a foreground and a dial position")
    held = mask.certificate
    return VolumeTrust(
        dial=mask.dial,
        trusted=mask.trusted,
        counted=mask.counted,
        promise=[*([] if mask.warning is None else [mask.warning]), *mask.sentences()],
        facts=[
            ("risk level α", mask.alpha),
            ("trusted", f"{mask.share:.1%} of the foreground"),
            ("loss, score", f"{held.binding.loss}, {held.binding.score}"),
            ("drift check", f"p = {mask.drift:.2g}"),
            ("certificate", held.sha256[:12]),
        ],
    )


def _facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    before = [("before", f"{operator_told(run['before'])}, {_seconds(run['before'])}")] if "before" in run else []
    return [
        ("prior", f"{run['prior']['name']} ({run['prior']['sha256'][:12]})"),
        ("mode", run["mode"]),
        *before,
        ("operator", operator_told(run)),
        ("measurement noise", run["noise"]),
        ("anchor, posterior", f"{run['anchor']}, {run['posterior']}"),
        ("path", run["path"]),
        ("draws", str(run["samples"])),
        ("sampler", f"{run['sampler']}, {run['steps']} steps, {run['evaluations']} evaluations in all"),
        *([("guides", f"{', '.join(run['guides'])}, by {run['prior']['guides']}")] if "guides" in run else []),
        *finding_facts(run.get("guide_findings", {})),
        ("seed", str(run["seed"])),
        *([("temperature", f"{run['temperature']:.3g} times the draws' own spread")] if "temperature" in run else []),
        ("device", f"{run['device']}, {run['dtype']}"),
        ("time", _seconds(run)),
        ("version", run["versions"]["veriscale"]),
    ]


def _seconds(run: dict[str, Any]) -> str:
    return ", ".join(f"{what} {seconds:g} s" for what, seconds in run["seconds"].items())
