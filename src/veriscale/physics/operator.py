"""Operators: from the truth to a measurement, and their strings."""

import re
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, closest
from veriscale.imaging.resize import KERNELS, resize


@dataclass(frozen=True)
class Downsample:
    """Antialiased downsampling by an integer factor: `downsample:factor=4,kernel=bicubic`."""

    factor: int
    kernel: str = "bicubic"

    def forward(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, C) to (H / factor, W / factor, C); H and W are multiples of the factor."""
        return resize(samples, samples.shape[0] // self.factor, samples.shape[1] // self.factor, self.kernel)

    def __str__(self) -> str:
        return f"downsample:factor={self.factor},kernel={self.kernel}"


OPERATORS = {"downsample": Downsample}


def parse_operator(text: str) -> Downsample:
    """The operator a string names.

    Raises:
        InputError: unknown name or key, or a value out of range.
    """
    name, _, rest = text.partition(":")
    if name not in OPERATORS:
        raise InputError(f"Unknown operator {name!r} in {text!r}; {closest(name, OPERATORS)}.")
    known = [f.name for f in fields(OPERATORS[name])]
    values: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, found, value = part.partition("=")
        if key not in known or not found:
            raise InputError(f"Operator {text!r}: unknown key {key!r}; {closest(key, known)}.")
        values[key] = value
    factor = values.get("factor", "")
    if not re.fullmatch(r"\d{1,4}", factor) or int(factor) < 1:
        raise InputError(f"Operator {text!r} needs factor=N with an integer N of at least 1.")
    kernel = values.get("kernel", "bicubic")
    if kernel not in KERNELS:
        raise InputError(f"Operator {text!r}: unknown kernel {kernel!r}; {closest(kernel, KERNELS)}.")
    return Downsample(int(factor), kernel)
