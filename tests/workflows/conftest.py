"""Photographs that workflows are tested on."""

import pytest
from tests.workflows.photographs import write_crops

from veriscale.imaging.read import read_photo


@pytest.fixture(scope="session")
def crops(tmp_path_factory, skimage_data):
    folder = tmp_path_factory.mktemp("photographs")
    write_crops(folder, skimage_data, 24)
    return folder


@pytest.fixture
def few(tmp_path, skimage_data):
    """Six pictures that a test may spoil."""
    write_crops(tmp_path / "few", skimage_data, 6)
    return tmp_path / "few"


@pytest.fixture(scope="session")
def cat(skimage_data):
    photo = read_photo(skimage_data / "chelsea.png")
    return photo.with_pixels(photo.pixels[80:122, 150:198])  # 42 × 48: no multiple of the network's stride
