"""Damaged headers: read, or refused in one sentence; and what is read can be written."""

import warnings

import nibabel
import numpy as np
import pytest
from tests.imaging.nifti.scans import header_for, numbers

from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.nifti.write import write_volume


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("codes", [(1, 0), (1, 1)])
def test_damaged_headers(tmp_path, kind, codes):
    rng, path = np.random.default_rng(0), tmp_path / "a.nii"
    array = numbers()
    header = header_for(array, kind=kind, qform=codes[0], sform=codes[1])
    whole = header.binaryblock + bytes(4) + array.tobytes(order="F")
    read, sentences = 0, []
    for _ in range(200):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(header.binaryblock), rng.integers(1, 4)):
            damaged[at] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                volume = read_volume(path, 0)
            except InputError as error:
                sentences.append(str(error))
                continue
            assert np.isfinite(volume.samples).all()
            write_volume(volume, tmp_path / "b.nii", True)
        np.testing.assert_allclose(
            nibabel.load(tmp_path / "b.nii").affine, nibabel.load(path).affine, rtol=1e-5, atol=1e-4
        )
        read += 1
    assert min(read, len(sentences)) > 20
    assert not any("\n" in sentence for sentence in sentences)
