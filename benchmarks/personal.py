"""What headers of a DICOM series tell of persons and places, and where files repeat it."""

import re
from collections.abc import Iterator

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

PATIENT_GROUPS = (0x0010, 0x0012)
STUDY = {
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyInstanceUID",
    "StudyID", "ReferencedStudySequence", "ReferencedPatientSequence",
}  # fmt: skip
"""Of the patient and study modules, with the groups above: what a derived series has to repeat."""

_TEXTS = ("LO", "SH", "ST", "LT", "UT", "UC")
_OF_PERSONS = ("PN", "DA", "TM", "DT", "AS")
_TECHNICAL = {
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "RescaleType", "ImagedNucleus",
    "CodeValue", "CodingSchemeDesignator", "CodeMeaning", "StackID",
}  # fmt: skip
_KEPT_UIDS = {"StudyInstanceUID", "FrameOfReferenceUID"}
_STANDARD = "1.2.840.10008."  # UIDs of classes and syntaxes
_LONG = 4  # characters: a shorter value is looked for as a whole value only


def elements(header: Dataset, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], DataElement]]:
    """Every element at every depth outside the patient and study modules, with the keywords of its sequences."""
    for element in header:
        if not within and (element.tag.group in PATIENT_GROUPS or element.keyword in STUDY):
            continue
        yield within, element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item, (*within, element.keyword))


def words_of(headers: list[Dataset]) -> tuple[set[str], set[str]]:
    """Personal values of a series: names, numbers, dates, times and UIDs; and other texts, of places or private."""
    persons, others = set(), set()
    for header in headers:
        for element in header.iterall():
            found = {text for text in values_of(element) if text and set(text) - set("0.^ ")}
            module = element.tag.group in PATIENT_GROUPS or element.keyword in STUDY
            if element.VR == "UI":
                if element.keyword not in _KEPT_UIDS:
                    persons |= {text for text in found if not text.startswith(_STANDARD)}
            elif element.VR in _OF_PERSONS or (module and element.VR in _TEXTS):
                persons |= found
                if element.VR == "PN":
                    persons |= {part for text in found for part in re.split(r"[\^ =_]+", text) if len(part) >= _LONG}
            elif element.tag.is_private:
                others |= {text for text in found if len(text) > _LONG and re.search("[A-Za-z]{3}", text)}
            elif element.VR in _TEXTS and element.keyword not in _TECHNICAL:
                others |= found
    return persons, others - persons


def values_of(element: DataElement) -> list[str]:
    """The texts of an element: none of a number, a sequence or pixels."""
    if element.VR in ("SQ", "OW", "OB", "OF", "US", "SS", "UL", "SL", "FL", "FD", "DS", "IS", "AT", "OD", "OL"):
        return []
    several = element.value if element.VM > 1 else [element.value]
    return [(each.decode("latin-1") if isinstance(each, bytes) else str(each)).strip(" \0") for each in several or []]


def repeated(headers: list[Dataset], persons: set[str], others: set[str], own_times: bool = False) -> list[str]:
    """Where headers hold a personal value outside the patient and study modules, a private element, a name or a time.

    A UID may stand where the standard refers to a source image; the source's other texts may be words of the standard's
    own lists.

    Args:
        headers: of written files.
        persons, others: as `words_of`.
        own_times: dates and times may be there that are not the source's, such as those of an object's making.
    """
    found = []
    for header in headers:
        for within, element in elements(header):
            place = " ".join([*within, element.keyword or str(element.tag)])
            if element.tag.is_private:
                found.append(f"{place}: private")
            texts = [text for text in values_of(element) if text]
            if texts and element.VR in _OF_PERSONS and not own_times:
                found.append(f"{place}: {element.VR}")
            if element.keyword == "ReferencedSOPInstanceUID" and within == ("SourceImageSequence",):
                continue
            words = persons if element.VR == "CS" else persons | others
            found += [f"{place}: {word}" for text in texts for word in words if told_in(word, text)]
        meta = [str(element.value) for element in header.file_meta if element.VR in ("UI", "SH", "AE")]
        found += [f"file meta: {word}" for text in meta for word in persons if told_in(word, text)]
    return found


def told_in(word: str, text: str) -> bool:
    """Whether a text tells a word: holds it where it is long, is it where it is short."""
    return word.lower() in text.lower() if len(word) >= _LONG else word == text


def quietly() -> None:
    """Headers of scanners hold what the standard does not allow: neither refused nor warned of."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
