"""How the axes of a scan's file may run, and files that say so."""

from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np


@dataclass(frozen=True)
class Axes:
    """How the three axes of a file run.

    Attributes:
        name: such as "LPS", "oblique 3" or "sheared 1".
        directions: (3, 3), columns of unit length.
        slices: the axis from slice to slice.
        form: the header's that says it: "sform", "qform" or "both".
    """

    name: str
    directions: np.ndarray
    slices: int
    form: str


def turned(rng: np.random.Generator, shear: float = 0.0) -> np.ndarray:
    """(3, 3), any rotation, a flip or none, columns of unit length."""
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = matrix @ (np.eye(3) + shear * np.triu(rng.uniform(-1, 1, (3, 3)), 1))
    return np.asarray(matrix / np.linalg.norm(matrix, axis=0))


def all_axes() -> list[Axes]:
    """The 48 that run along the body's, twelve oblique ones and six sheared; slices along each of the three."""
    found = []
    for k, (order, signs) in enumerate(product(permutations(range(3)), product((1, -1), repeat=3))):
        directions = np.eye(3)[:, order] * signs
        name = "".join(nibabel.aff2axcodes(nibabel.affines.from_matvec(directions)))
        found.append(Axes(name, directions, (k + k // 8) % 3, ("sform", "qform", "both")[k // 3 % 3]))
    rng = np.random.default_rng(0)
    found += [Axes(f"oblique {k}", turned(rng), k % 3, ("sform", "qform", "both")[k // 3 % 3]) for k in range(12)]
    return found + [Axes(f"sheared {k}", turned(rng, 0.3), k % 3, "sform") for k in range(6)]


AXES = {axes.name: axes for axes in all_axes()}


def saved(values: np.ndarray, affine: np.ndarray, form: str, slices: int, path: Path) -> Path:
    """By nibabel."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_dim_info(slice=slices)
    image.set_sform(affine, 0 if form == "qform" else 1)
    image.set_qform(affine, 0 if form == "sform" else 1)
    nibabel.save(image, path)
    return path


def loaded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine, by nibabel."""
    image = nibabel.load(path)
    return np.asarray(image.get_fdata()), image.affine
