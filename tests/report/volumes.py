"""Small volumes to report on: a dim body with a bright ball in it, wherever the file's axes point."""

import base64
import dataclasses
import json
import re
import zlib

import nibabel
import numpy as np

from veriscale.imaging.geometry import finer
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.normalisation import Levels
from veriscale.report.volume_page import VolumeReport

SIZE = np.array([96.0, 120.0, 80.0])  # millimetres of the field of view
BODY = 200.0
BALL = 1000.0


def ras_affine(spacing, centre=(7.0, -11.0, 23.0)):
    """Of a field of view of `SIZE` around a world position."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.array(centre) - SIZE / 2 + np.array(spacing) / 2
    return affine


def scan_of(folder, at, axes="RAS", spacing=(1.0, 1.5, 2.0), radius=6.0, turned=None):
    """A file with a ball at a world position, read as scans are."""
    affine = ras_affine(spacing) if turned is None else turned @ ras_affine(spacing)
    shape = tuple(np.rint(SIZE / spacing).astype(int))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    values = np.zeros(shape, np.float32)
    margin = np.ceil(10 / np.array(spacing)).astype(int)
    values[tuple(slice(m, -m) for m in margin)] = BODY
    values[np.linalg.norm(world - at, axis=-1) <= radius] = BALL
    image = nibabel.Nifti1Image(values, affine)
    now = nibabel.orientations.io_orientation(affine)
    wanted = nibabel.orientations.axcodes2ornt(axes)
    image = image.as_reoriented(nibabel.orientations.ornt_transform(now, wanted))
    image.header["descrip"], image.header["db_name"] = b"XYZZY^ANN 19700101", b"XYZZY"
    nibabel.save(image, folder / "Xyzzy_Ann_1970.nii.gz")
    return read_volume(folder / "Xyzzy_Ann_1970.nii.gz")


def thick(volume, every=4):
    """Means of so many slices, where they lie."""
    n = volume.shape[2] // every * every
    samples = volume.samples[:, :, :n].reshape(*volume.shape[:2], n // every, every).mean(-1)
    affine = finer(volume.affine, (1, 1, n / every / n))
    return dataclasses.replace(volume, samples=samples, affine=affine)


def report_of(volume, **changes):
    """Dial 0 is the volume, dial 1 half of it, the spread a tenth, the measurement thick slices."""
    half = dataclasses.replace(volume, samples=volume.samples * np.float32(0.5))
    tenth = dataclasses.replace(
        volume, samples=volume.samples * np.float32(0.1), levels=Levels(0.0, volume.levels.width)
    )
    given = {"measurement": thick(volume), "dials": [(1.0, half), (0.0, volume)], "spread": tenth}
    return VolumeReport(**{**given, "facts": [("prior", "mri")], **changes})


def facts_in(page):
    """What the script is told."""
    return json.loads(re.search(r'<script type="application/json" id="volumes">(.*?)</script>', page, re.DOTALL)[1])


def samples_in(page):
    """Steps of value by the volumes' keys, (X, Y, Z), by Python and not by the page's script."""
    facts = facts_in(page)
    found = dict(re.findall(r'<script type="text/plain" id="samples-([^"]*)">([^<]*)</script>', page))
    assert list(found) == [volume["key"] for volume in facts["volumes"]]
    shapes = {volume["key"]: volume["shape"] for volume in facts["volumes"]}
    return {
        key: np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shapes[key])
        for key, text in found.items()
    }
