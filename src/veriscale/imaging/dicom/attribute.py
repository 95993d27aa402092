"""Attributes of a header, checked as they are read."""

import math
from typing import TYPE_CHECKING, Any

from veriscale.errors import InputError
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID


def value(header: "Dataset", keyword: str) -> Any:
    """The attribute's value; None where it is absent or empty.

    Raises:
        InputError: what the file holds is no value of its type.
    """
    try:
        found = header.get(keyword)
    except Exception as error:  # pydicom raises what its parsers happen to meet
        raise InputError(f"{keyword} of {slice_name(header)} cannot be read; repair the header") from error
    return None if found is None or found == "" or (hasattr(found, "__len__") and not len(found)) else found


def numbers(header: "Dataset", keyword: str, count: int) -> list[float] | None:
    """The attribute's `count` numbers; None where it is absent or empty.

    Raises:
        InputError: they are other than finite, or not so many.
    """
    found = value(header, keyword)
    if found is None:
        return None
    try:
        floats = [float(each) for each in (found if hasattr(found, "__iter__") else [found])]
    except (TypeError, ValueError):
        floats = []
    if len(floats) != count or not all(map(math.isfinite, floats)):
        raise InputError(
            f"{keyword} of {slice_name(header)} should hold {count} finite number{'s' * (count > 1)}; repair the header"
        )
    return floats


def number(header: "Dataset", keyword: str) -> float | None:
    """As `numbers`, of one."""
    found = numbers(header, keyword, 1)
    return None if found is None else found[0]


def identifier(header: "Dataset", keyword: str) -> "UID":
    """The attribute's UID, empty where it is absent.

    Raises:
        InputError: what the file holds is no value of its type.
    """
    from pydicom.uid import UID

    with as_they_stand():
        return UID(str(value(header, keyword) or ""))


def slice_name(header: "Dataset") -> str:
    """What a sentence calls a slice: file names and identifiers may be personal, the instance's number is not."""
    try:
        return f"the slice with InstanceNumber {int(header.InstanceNumber)}"
    except Exception:  # absent, empty or no number
        return "a slice without InstanceNumber"
