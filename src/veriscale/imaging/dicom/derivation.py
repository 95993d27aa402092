"""How a derived series says what made it."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from veriscale.imaging.dicom.attribute import number
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from pydicom import Dataset

MAKER = "Veriscale"
SPATIAL_RESAMPLING = ("113085", "DCM", "Spatial resampling")
_SOURCE = ("121322", "DCM", "Source image for image processing operation")
_ACQUIRED = ("109101", "DCM", "Acquisition Equipment")
_PROCESSED = ("109102", "DCM", "Processing Equipment")
_KEPT = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "PurposeOfReferenceCodeSequence")
_LONG_STRING, _SHORT_TEXT = 64, 1024  # characters of LO, of ST


@dataclass(frozen=True)
class Derivation:
    """What was done, for the headers.

    Attributes:
        prior: its name, or a tool's.
        prior_hash: of its tensors, hexadecimal, at most 64 characters.
        done: in words, without anything personal, such as `x2 in plane, dial 0`.
        series_number: of the new series; the source's plus 1000 by default.
        title: what the new series is called behind the number of its source; at most 24 characters.
    """

    prior: str
    prior_hash: str
    done: str
    series_number: int | None = None
    title: str = "restored"

    @property
    def software(self) -> str:
        """The version of this library."""
        return version("veriscale")

    @property
    def text(self) -> str:
        """DerivationDescription."""
        whole = (
            f"Restored with {MAKER} {self.software}, prior {self.prior} ({self.prior_hash}): {self.done}. "
            "Values are estimated, not measured; not for diagnosis."
        )
        return ascii_text(whole, _SHORT_TEXT)


def made_here(file: Path) -> bool:
    """Whether a DICOM file is one that this library has derived, by its Manufacturer."""
    import pydicom

    with as_they_stand():
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Manufacturer"])
            return bool(header.get("Manufacturer") == MAKER)
        except Exception:  # damaged: whoever reads the series says so
            return False


def describe(header: "Dataset", derivation: Derivation, sources: tuple["Dataset", ...], resampled: bool) -> None:
    """Write into a header what made it: derivation, equipment, series description.

    General Equipment is what made the derived images; what acquired the originals is a contributing equipment, and so
    are its predecessors (DICOM PS3.3 C.12.1.1.5).

    Args:
        header: changed.
        derivation: what was done.
        sources: the source's headers.
        resampled: whether the grid is another one.
    """
    source = sources[0]
    header.DerivationDescription = derivation.text
    if resampled:
        header.DerivationCodeSequence = [code(*SPATIAL_RESAMPLING)]
    header.update(_equipment(derivation))
    ours = _equipment(derivation)
    ours.PurposeOfReferenceCodeSequence = [code(*_PROCESSED)]
    ours.ContributionDescription = derivation.text
    header.ContributingEquipmentSequence = [*_earlier(source), ours]
    given = derivation.series_number
    header.SeriesNumber = int(number(source, "SeriesNumber") or 0) + 1000 if given is None else given
    number_of = number(source, "SeriesNumber")  # and no word of its description, in which names may be
    of = "" if number_of is None else f"series {number_of:.0f} "
    header.SeriesDescription = ascii_text(f"{of}{derivation.title}, not for diagnosis", _LONG_STRING)


def source_items(sources: Iterable["Dataset"], preserved: bool) -> list["Dataset"]:
    """SourceImageSequence.

    Args:
        sources: the headers of the slices that one derived slice was made from.
        preserved: whether pixels lie where they lay.

    Source: DICOM PS3.3 C.7.6.1.1.4, CID 7202.
    """
    from pydicom import Dataset

    items = []
    for source in sources:
        item = Dataset()
        item.ReferencedSOPClassUID = source.SOPClassUID
        item.ReferencedSOPInstanceUID = source.SOPInstanceUID
        item.SpatialLocationsPreserved = "YES" if preserved else "NO"
        item.PurposeOfReferenceCodeSequence = [code(*_SOURCE)]
        items.append(item)
    return items


def code(value: str, scheme: str, meaning: str) -> "Dataset":
    """An item of a code sequence (DICOM PS3.3 section 8)."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def ascii_text(text: str, most: int) -> str:
    """The text in the characters that every character set has, with × as x; not longer than `most`, one value."""
    plain = text.replace("×", "x").replace("\\", "/")
    return plain.encode("ascii", "replace").decode()[:most]


def _equipment(derivation: Derivation) -> "Dataset":
    from pydicom import Dataset

    item = Dataset()
    item.Manufacturer = MAKER
    item.ManufacturerModelName = ascii_text(derivation.prior, _LONG_STRING)
    item.SoftwareVersions = derivation.software
    item.DeviceSerialNumber = ascii_text(derivation.prior_hash, _LONG_STRING)
    return item


def _earlier(source: "Dataset") -> list["Dataset"]:
    """What acquired the source and what has worked on it, without places and people."""
    from pydicom import Dataset

    items = []
    for each in [source, *source.get("ContributingEquipmentSequence", [])]:
        if not each.get("Manufacturer"):
            continue
        item = Dataset()
        for keyword in _KEPT:
            if keyword in each:
                item[keyword] = each[keyword]
        if each is source:
            item.PurposeOfReferenceCodeSequence = [code(*_ACQUIRED)]
        items.append(item)
    return items
