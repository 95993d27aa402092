"""How a DICOM file begins, whatever its name."""

from pathlib import Path


def is_dicom(file: Path) -> bool:
    """Whether a file begins as DICOM does (PS3.10, 7.1); False where it cannot be opened: whoever reads it says so."""
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False
