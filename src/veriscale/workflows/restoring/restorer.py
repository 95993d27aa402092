"""Whoever restores pictures: a prior, or somebody's tool. Both prepare a picture, and then restore it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from veriscale.imaging.photo import Photo
from veriscale.settings import Settings
from veriscale.traversal.method import Tell
from veriscale.trust.facts import Facts
from veriscale.trust.scores.score import Score
from veriscale.workflows.restoring.restoration import Restoration


class Prepared(Protocol):
    """One picture, checked and ready to be restored."""

    @property
    def suffix(self) -> str:
        """What its results' names end in."""

    @property
    def dials(self) -> Sequence[float]:
        """Positions of the results."""

    @property
    def samples(self) -> int:
        """Draws among the results."""

    @property
    def facts(self) -> Facts:
        """What the result and its score depend on: binding in a certificate."""

    @property
    def made_of(self) -> dict[str, Any]:
        """What of its run.json is known before the work, but for the arguments."""

    def lines(self) -> list[str]:
        """What will be done, in words."""

    def costs(self) -> list[str]:
        """What it takes, in words."""

    def restore(self, tell: Tell = ...) -> Restoration:
        """Do it.

        Raises:
            InputError: memory does not suffice, or data and operator do not go together.
            ToolError: a tool failed on this picture; on others it may succeed.
        """

    def arguments(self, results: Path) -> dict[str, Any]:
        """The settings with what was found out beyond them, for a run.json in the folder of the results."""

    def verdicts(self, result: Restoration) -> list[str]:
        """What is to be said of the result."""


class Restorer(Protocol):
    """Makes results that one certificate can be about."""

    @property
    def settings(self) -> Settings:
        """What was asked, with what a certificate, an earlier run and the defaults say."""

    @property
    def score(self) -> Score | None:
        """Where its results are less trustworthy."""

    @property
    def score_files(self) -> str | None:
        """Pattern of the user's own maps."""

    @property
    def timeout(self) -> float | None:
        """Seconds a run may take, where there is a limit."""

    @property
    def remarks(self) -> Sequence[str]:
        """What is to be said of it once, before any picture."""

    def prepare(self, photo: Photo, path: Path | None = None, stem: str | None = None) -> Prepared:
        """Check a picture.

        Args:
            photo: the measurement.
            path: its file, for its sidecar.
            stem: what the user's own map is named after; the file's by default.

        Raises:
            InputError: something about the picture, the settings or the certificate.
        """
