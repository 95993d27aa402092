"""Dates that are none."""

import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset


def is_date(text: str) -> bool:
    """Whether a value of representation DA is empty or a day that exists, `YYYYMMDD` (`YYYY.MM.DD` in old files).

    Source: DICOM PS3.5 table 6.2-1.
    """
    text = text.strip()
    match = re.fullmatch(r"(\d{4})(\.?)(\d{2})\2(\d{2})", text)
    if not match:
        return not text
    try:
        date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return False
    return True


def false_dates(header: "Dataset") -> list[str]:
    """The keywords of the header's top-level dates that are none, such as `20120000`."""
    return [
        element.keyword
        for tag in sorted(header.keys())
        if not tag.is_private and _representation(header, tag) == "DA"
        for element in [header[tag]]
        if not all(is_date(str(each)) for each in (element.value if element.VM > 1 else [element.value or ""]))
    ]


def without_false_dates(header: "Dataset") -> "Dataset":
    """The header, changed: dates that are none are empty, within sequences too."""
    for element in header:
        if element.VR == "SQ":
            for item in element.value:
                without_false_dates(item)
        elif element.VR == "DA" and element.VM:
            values = element.value if element.VM > 1 else [element.value]
            if not all(is_date(str(each)) for each in values):
                element.value = ""
    return header


def _representation(header: "Dataset", tag: int) -> str | None:
    return header.get_item(tag).VR  # None for what could not be parsed
