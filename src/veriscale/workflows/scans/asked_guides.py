"""Which guides scans are restored with: as they are asked for, found for each scan, read and checked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, nameless, shown
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.modalities import EDGES, edges_of
from veriscale.imaging.dicom.origin import SeriesOrigin, identifiers
from veriscale.imaging.nifti.read import SeveralVolumes
from veriscale.imaging.volume import Volume
from veriscale.settings import as_name
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restorer import Restorer
from veriscale.workflows.scans.guide_files import contrast_of, find_guide, scans_in
from veriscale.workflows.scans.guide_scans import Guide
from veriscale.workflows.scans.reading import Scan, holds_series, read_scan

AUTO = "auto"
"""In the place of a file: of the measurement itself."""


@dataclass(frozen=True, eq=False)
class AskedGuides:
    """Which guides scans are restored with; `asked_guides` checks them.

    Attributes:
        sources: by modality a file, a folder in which there is one for each scan, a volume, or None: the scan itself.
        another_patient: whether a guide may be of a patient whom its DICOM headers call otherwise.
        known: all modalities of the file of guides.
        target: whom they guide.
    """

    sources: Mapping[str, Path | Volume | None]
    another_patient: bool = False
    known: Sequence[str] = ()
    target: str = ""

    def of(self, scan: Scan, truth: Volume | None = None) -> tuple[list[Guide], list[str]]:
        """A scan's guides, and sentences about them, none of which tells whose scan it is.

        Args:
            scan: what is restored; its volume is the measurement, its path that by which guides are found.
            truth: what is measured, where that is known: no guide either.

        Raises:
            InputError: one cannot be read or used.
        """
        guides, notes = [], self._of_the_target(scan)
        own = {scan.sha256, *(volume.content() for volume in (scan.volume, truth) if volume is not None)}
        seen: dict[str, str] = {}
        for modality, source in self.sources.items():
            if source is None:
                guides.append(Guide(modality, edges_of(scan.volume), AUTO))
                continue
            found = _file_of(source, scan, modality) if isinstance(source, Path) else source
            if found is None:
                notes.append(f"No guide {modality} is found for it in the folder that was given: it goes without.")
                continue
            guide = _read(found, modality) if isinstance(found, Path) else Scan(found, found.content(), None)
            content = guide.volume.content()
            if not own.isdisjoint((guide.sha256, content)):
                raise InputError(
                    f"The guide {modality} is the scan itself; give another scan of the same place, or leave it out."
                )
            if content in seen:
                raise InputError(f"The guides {seen[content]} and {modality} are one scan; give it once.")
            seen[content] = modality
            notes += self._same_patient(scan, guide, modality)
            notes += [f"Of the guide {modality}: {note}" for note in guide.notes]
            guides.append(Guide(modality, guide.volume, guide.sha256))
        return guides, notes

    def guiding(self, scans: Iterable[Path]) -> set[Path]:
        """Which of several scans guide another of them, or would: those that are found in the folders, resolved."""
        folders = {source for source in self.sources.values() if isinstance(source, Path) and source.is_dir()}
        given = list(scans)
        files = {folder: scans_in(folder) for folder in folders}
        found = {
            find_guide(folder, scan, name, files[folder]) for folder in files for scan in given for name in self.known
        }
        return {file.resolve() for file in found if file is not None} & {scan.resolve() for scan in given}

    def _of_the_target(self, scan: Scan) -> list[str]:
        contrast = None if scan.path is None else contrast_of(scan.path)
        if contrast is None or contrast.casefold() not in (name.casefold() for name in self.known):
            return []
        return [f"By its name the scan is {contrast}, and these guides have learnt to help {self.target}."]

    def _same_patient(self, scan: Scan, guide: Scan, modality: str) -> list[str]:
        own, theirs = (identifiers(each.volume, "PatientID") for each in (scan, guide))
        if own and theirs and own != theirs and not self.another_patient:
            raise InputError(
                f"The guide {modality} is of another patient than the scan, by the PatientID of both; take one of the "
                "same patient, or say `--another-patient` if it is."
            )
        notes = []
        series = isinstance(scan.volume.origin, SeriesOrigin) and isinstance(guide.volume.origin, SeriesOrigin)
        if series and not (own and theirs) and not self.another_patient:
            whose = "scan" if theirs else "guide"
            notes.append(
                f"Of the guide {modality}: nobody says whether it is of the same patient, since the {whose} has no "
                "PatientID."
            )
        own, theirs = (identifiers(each.volume, "FrameOfReferenceUID") for each in (scan, guide))
        if own and theirs and not own & theirs:
            notes.append(
                f"Of the guide {modality}: it has another FrameOfReferenceUID than the scan: nobody says that they lie "
                "in one space, so see that they are registered."
            )
        return notes


def split_guides(texts: Iterable[str]) -> dict[str, str]:
    """From the command line's `NAME=FILE` to sources by name.

    Raises:
        InputError: one is no such pair, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise InputError(f"`--guide` {shown(text)} is no NAME=FILE, such as t1=t1.nii.gz.")
        if name in found:
            raise _twice(name)
        found[name] = source
    return found


def asked_of(restorer: Restorer, given: Mapping[str, object], another_patient: bool) -> AskedGuides | None:
    """As `asked_guides`, of whoever restores.

    Raises:
        InputError: a tool takes no guides.
    """
    if isinstance(restorer, PriorRestorer):
        return asked_guides(restorer.prior, given, another_patient)
    if given or another_patient:
        raise InputError("A tool takes no guides; leave out `--guide`, or restore with a prior.")
    return None


def not_guiding(scans: Sequence[Path], asked: AskedGuides, say: Callable[[str], None]) -> list[Path]:
    """Those of several scans that guide no other of them.

    Args:
        scans: inputs.
        asked: which guides they are restored with.
        say: told how many are left out.

    Raises:
        InputError: several are left, and a guide is one file.
    """
    guiding = asked.guiding(scans)
    kept = [scan for scan in scans if scan.resolve() not in guiding]
    if left := len(scans) - len(kept):
        say(f"{'1 scan is' if left == 1 else f'{left} scans are'} left out, by name guides of the others.")
    for modality, source in asked.sources.items() if len(kept) > 1 else ():
        if isinstance(source, Volume) or (source is not None and _one(source)):
            raise InputError(
                f"The guide {modality} is one scan, and there are {len(kept)} scans to be guided; give a folder in "
                "which each has its own."
            )
    return kept


def asked_guides(prior: Prior, given: Mapping[str, object], another_patient: bool = False) -> AskedGuides | None:
    """Check which guides are asked for; None without any.

    Args:
        prior: loaded.
        given: by name a file or folder, a `Volume`, or "auto".
        another_patient: as of `AskedGuides`.

    Raises:
        InputError: the prior takes no guides, a name is not known or there twice, a file is not there, or another
            patient is told of without a guide.
    """
    if not given and another_patient:
        raise InputError("`--another-patient` is of guides, and there is none; leave it out, or give a `--guide`.")
    if not given:
        return None
    if not isinstance(prior, GuidedPrior):
        raise InputError(
            f"The prior {prior.named!r} takes no guides; leave `--prior` out, give a file of guides, which "
            "`veriscale priors` lists, or leave out `--guide`."
        )
    if not (isinstance(given, Mapping) and all(isinstance(name, str) for name in given)):
        raise InputError(f"`guides` is {shown(given)}; give a mapping from names, such as T1, to files or volumes.")
    sources: dict[str, Path | Volume | None] = {}
    for name, source in given.items():
        modality = prior.modality(name)
        if modality in sources:
            raise _twice(modality)
        if _itself(source) and modality.casefold() != EDGES:
            raise InputError(f"Only {EDGES} can be made of the scan itself; give `--guide` {modality} a file.")
        sources[modality] = _source(source, modality)
    return AskedGuides(
        sources, another_patient, prior.guide_card.arguments.modalities, prior.guide_card.arguments.target
    )


def _source(given: object, modality: str) -> Path | Volume | None:
    if _itself(given):
        return None
    if isinstance(given, Volume):
        return given
    path = Path(as_name("guide", given))
    if not path.exists():
        raise InputError(f"The file or folder of the guide {modality} does not exist; check its name.")
    return path


def _itself(source: object) -> bool:
    return isinstance(source, str) and source == AUTO


def _one(source: Path) -> bool:
    """Whether a path is one scan; a folder of several else."""
    return not source.is_dir() or holds_series(source)


def _file_of(source: Path, scan: Scan, modality: str) -> Path | None:
    if _one(source):
        return source
    if scan.path is None:
        raise InputError(f"The guide {modality} is given as a folder, and the scan has no name; give its file.")
    return find_guide(source, scan.path, modality)


def _read(path: Path, modality: str) -> Scan:
    try:
        return read_scan(path, gaps=True)
    except SeveralVolumes as error:
        what = nameless(str(error).rpartition(";")[0], path, f"the guide {modality}")
        raise InputError(f"{what}, and a guide is one; write it to a file of its own.") from None
    except InputError as error:
        raise InputError(nameless(error, path, f"the guide {modality}")) from None


def _twice(name: str) -> InputError:
    return InputError(f"The guide {name} is given twice; give it once.")
