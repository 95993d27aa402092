"""The report: one HTML file that shows a restoration at every dial position, and what is known about it.

The page loads nothing: pictures are data: URIs, script and style are inline and allowed by their hashes alone. Without
JavaScript it shows every picture one below the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.report.colourmap import palette
from veriscale.report.document import document, source
from veriscale.report.embedding import Encoding, embed_map, embed_pictures
from veriscale.report.overlay import overlay
from veriscale.report.view import View, dial_caption, map_view, over_channels, percent

Array = npt.NDArray[np.floating]

TRUST_STYLE = "\n/* Only on pages with a trust mask. */\n"  # in page.css: from here on


@dataclass(frozen=True)
class TrustView:
    """What is trusted of one delivered picture, and what that means.

    Attributes:
        picture: (H, W, C) in [0, 1], what the mask is about.
        dial: the dial position it belongs to; None where there is no dial.
        trusted: (H, W).
        promise: sentences in plain words, shown one below the other.
        facts: (label, value) rows about the certificate.
        warning: why the promise may not hold for this picture; None where nothing speaks against it.
    """

    picture: Array
    dial: float | None
    trusted: npt.NDArray[np.bool_]
    promise: Sequence[str]
    facts: Sequence[tuple[str, str]]
    warning: str | None = None


@dataclass(frozen=True)
class Report:
    """What a page is made of; all arrays in [0, 1], clipped where they are shown.

    Attributes:
        title: usually the input's name.
        measurement: (h, w, C).
        dials: (dial value, picture (H, W, C)), at least one; shown in rising order.
        spread: standard deviation of the draws, (H, W) or (H, W, C).
        residual: Ax̂ − y of the picture at the lowest dial, signed or not, (h, w) or (h, w, C).
        expected_residual: noise std of the measurement: the root mean square that the noise alone leaves in `residual`.
        draws: (H, W, C) posterior draws at dial 1.
        facts: (label, value) rows about the run.
        notes: sentences about this run, put before the standing ones.
        trust: the mask of what can be trusted.
        sigma0: noise level at which the picture's draw began, where that was asked for instead of a dial position.
    """

    title: str
    measurement: Array
    dials: Sequence[tuple[float, Array]]
    spread: Array | None = None
    residual: Array | None = None
    expected_residual: float | None = None
    draws: Sequence[Array] = ()
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    trust: TrustView | None = None
    sigma0: float | None = None


def render_report(report: Report) -> str:
    """Return the page as HTML, at most about 20 MB; larger pictures go in as JPEG or reduced, and the page says so.

    Raises:
        InputError: there is no dial position, one is given twice, a picture is neither grey nor RGB, or the trust mask
            is not one truth value per pixel of its picture.
    """
    dials = sorted(report.dials, key=lambda position: position[0])
    if not dials:
        raise InputError("a report needs the picture at one dial position at least: give one")
    if len({dial for dial, _ in dials}) < len(dials):
        raise InputError("a report got two pictures for the same dial position: give each dial once")
    masked = [] if report.trust is None else [overlay(report.trust.picture, report.trust.trusted)]
    uris, encoding = embed_pictures([*(image for _, image in dials), report.measurement, *masked, *report.draws])
    positions = [
        View(f"dial-{dial:g}", *dial_caption(dial, report.sigma0), uri, dial=dial)
        for (dial, _), uri in zip(dials, uris[: len(dials)], strict=True)
    ]
    views = _companions(report, iter(uris[len(dials) :]), lowest=dials[0][0])
    height, width = dials[0][1].shape[:2]
    style, _, trust_style = source("page.css").partition(TRUST_STYLE)
    if report.trust is not None:
        style += trust_style
    return document(
        "page.html.j2",
        style,
        source("page.js"),
        title=report.title,
        positions=positions,
        views=views,
        width=width,
        height=height,
        colour_bar=embed_map(np.arange(len(palette()), dtype=np.uint8)[None]),
        facts=report.facts,
        notes=[*report.notes, *_standing_notes(report, encoding)],
        trust=report.trust,
    )


def _companions(report: Report, uris: Iterator[str], lowest: float) -> list[View]:
    height, width = report.measurement.shape[:2]
    caption = f"What was measured: {width} × {height} pixels, enlarged."
    views = [View("measurement", "Measurement", caption, next(uris))]
    if report.trust is not None:
        views.append(View("trust", "Trust overlay", _trust_caption(report.trust), next(uris)))
    if report.spread is not None:
        caption = "How much the draws differ: one standard deviation per pixel. Bright is where detail is guessed."
        views.append(map_view("spread", "Spread of the draws", caption, over_channels(report.spread)))
    if report.residual is not None:
        values = over_channels(report.residual)
        size = float(np.sqrt(np.mean(np.square(values))))
        caption = (
            f"How far the picture at dial {lowest:g}, degraded again, is from the measurement. "
            f"Its root mean square is {percent(size)} of the full range"
        )
        if report.expected_residual is not None:
            caption += f"; noise and rounding alone would leave {percent(report.expected_residual)}"
        views.append(map_view("residual", "Residual |Ax̂ − y|", f"{caption}.", values))
    for number, uri in enumerate(uris, 1):
        caption = "One picture the measurement allows. Where draws disagree, the measurement does not tell."
        views.append(View(f"draw-{number}", f"Draw {number}", caption, uri))
    return views


def _trust_caption(trust: TrustView) -> str:
    share = float(np.mean(trust.trusted))
    if share == 1:
        told = "Every pixel is trusted: nothing is hatched."
    elif share == 0:
        told = "No pixel is trusted: everything is hatched, which does not mean that it is wrong."
    else:
        told = (
            "Hatched: not trusted, which does not mean that it is wrong. The rest, "
            f"{percent(min(share, 0.999))} of the pixels, is trusted and shown as it is."  # never 100 % by rounding
        )
    if trust.dial is None:
        return told
    return f"{told} The mask belongs to the picture at dial {trust.dial:g} and to no other."


def _standing_notes(report: Report, encoding: Encoding) -> list[str]:
    notes = [
        "Dial 0 aims at the smallest expected error. Turning the dial up adds detail that looks real and agrees "
        "with the measurement, at the price of a larger error.",
        "Detail that is not in the measurement comes from the prior, which was learned from other pictures. "
        "Do not read text, faces or findings from it that the measurement does not show.",
    ]
    if report.spread is not None:
        notes.append(
            "The spread says how much the prior's own guesses differ. It is not an error bound: "
            "a prior can be sure and wrong, above all on pictures unlike those it learned from."
        )
    if report.residual is not None:
        notes.append(
            "A residual of the expected size means that the picture explains the measurement. It does not mean that "
            "its detail is true. A larger one says that the operator or the noise is not what was assumed."
        )
    if encoding.quality is not None:
        size = f" at 1/{encoding.reduction} of their size" if encoding.reduction > 1 else ""
        notes.append(
            f"To keep this page small its pictures are JPEG copies (quality {encoding.quality}){size}. "
            "Judge fine detail on the files themselves."
        )
    return notes
