"""Whatever a file holds, it is read, or one sentence says why not."""

import random
import shutil
import warnings
from pathlib import Path

import pytest
from tests.imaging.dicom.synthetic import slices, write
from tests.imaging.dicom.test_derived import DERIVATION

from veriscale.errors import InputError
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.series import read_series


def damage(file: Path, seed: int) -> None:
    """Change some bytes after the preamble; cut every fifth file."""
    chance, content = random.Random(seed), bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 3, 20])):
        content[chance.randrange(128, len(content) - 80)] = chance.randrange(256)
    file.write_bytes(content[: chance.randrange(132, len(content))] if seed % 5 == 0 else content)


@pytest.mark.parametrize("part", range(4))
def test_damaged_files(tmp_path, part):
    good = write(tmp_path / "good", slices(2))
    outcomes, sentences = set(), []
    for seed in range(60 * part, 60 * (part + 1)):
        folder = Path(shutil.copytree(good, tmp_path / f"{seed}"))
        damage(max(folder.iterdir()), seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # they quote values
            try:
                series = read_series(folder)
                write_derived(series, series.samples, series.affine, tmp_path / f"out{seed}", DERIVATION)
                outcomes.add(True)
            except InputError as error:
                sentences.append(str(error))
                outcomes.add(False)
    assert outcomes == {True, False}
    assert not [each for each in sentences if "\n" in each or str(tmp_path) in each]
