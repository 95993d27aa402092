"""The real series, where the data are there."""

import os
from pathlib import Path

import pytest

SERIES = ("t1_oblique", "epi_brain", "cardiac_sax_oblique")


@pytest.fixture(params=SERIES)
def real_folder(request: pytest.FixtureRequest) -> Path:
    folder = Path(os.environ.get("VERISCALE_DATA", "")) / "mri" / "dicom" / request.param
    if "VERISCALE_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("no real series: VERISCALE_DATA names no folder with mri/dicom")
    return folder
