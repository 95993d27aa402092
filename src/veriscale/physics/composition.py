"""One operator after another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.operator import LinearOperator, Operator, ProximalOperator, Shape, proximal
from veriscale.physics.spectral_norm import spectral_norm

_NOTHING = 1e-12  # relative to the largest value of a random picture's measurement: rounding


@dataclass(frozen=True)
class Composition(Operator):
    """`A + B`: y = B(A(x)), for any parts. Made by `compose`.

    Args:
        parts: at least two, the first first; all but the last give pictures.
    """

    parts: tuple[Operator, ...]

    name: ClassVar[str] = "composition"

    if not TYPE_CHECKING:  # of the instance here, of the class elsewhere

        @property
        def picture(self) -> bool:
            """Whether the last part gives a picture."""
            return all(part.picture for part in self.parts)

        @property
        def local(self) -> bool:
            """Whether every part is."""
            return all(part.local for part in self.parts)

        @property
        def alike(self) -> bool:
            """Whether every part is."""
            return all(part.alike for part in self.parts)

    def forward(self, x: Tensor) -> Tensor:
        """A(x), the parts in turn."""
        return reduce(lambda u, part: part.forward(u), self.parts, x)

    def measure(self, x: Tensor) -> Tensor:
        """As `forward`, each part as its instrument would."""
        return reduce(lambda u, part: part.measure(u), self.parts, x)

    def measurement_shape(self, shape: Shape) -> Shape:
        """Shape after the last part.

        Raises:
            InputError: a part cannot measure what the one before leaves.
        """
        for i, part in enumerate(self.parts):
            try:
                shape = part.measurement_shape(shape)
            except InputError as error:
                if i == 0:
                    raise
                raise InputError(
                    f"The parts of '{self}' do not meet: after '{self.parts[i - 1]}', {_within(error)}"
                ) from error
        return shape

    def truth_shape(self, shape: Shape) -> Shape:
        """Shape before the first part, backwards through all.

        Raises:
            InputError: a part cannot have given what the one after needs.
        """
        for i in reversed(range(len(self.parts))):
            try:
                shape = self.parts[i].truth_shape(shape)
            except InputError as error:
                if i == len(self.parts) - 1:
                    raise
                raise InputError(
                    f"The parts of '{self}' do not meet: before '{self.parts[i + 1]}', {_within(error)}"
                ) from error
        return shape

    def support(self, shape: Shape) -> Tensor | None:
        """The last part's, less what holes before it leave empty, as far as that can be told."""
        last, before = self.parts[-1], compose(self.parts[:-1])
        support = last.support(shape)
        earlier = before.support(last.truth_shape(shape)) if isinstance(last, Inpaint) else None
        if earlier is None or support is None:
            return support if earlier is None else earlier
        return support.bool() & earlier.bool()

    def bind(self, affine: NDArray[np.float64]) -> Operator:
        """Each part bound to the grid that the one before leaves."""
        bound = []
        for part in self.parts:
            bound.append(part.bind(affine))
            affine = bound[-1].moved(affine)
        return compose(bound)

    def moved(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Through all parts."""
        return reduce(lambda a, part: part.moved(a), self.parts, affine)

    def beside(self, folder: Path) -> Operator:
        """Each part seen from `folder`."""
        return compose([part.beside(folder) for part in self.parts])

    @property
    def contents(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(held for part in self.parts for held in part.contents)

    @property
    def divisible(self) -> bool:
        """Whether every part is."""
        return all(part.divisible for part in self.parts)

    @property
    def noise_std(self) -> float:
        """Of all parts, as if the later ones passed it on whole."""
        return math.hypot(*(part.noise_std for part in self.parts))

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(note for part in self.parts for note in part.notes)

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))


@dataclass(frozen=True)
class LinearComposition(Composition, LinearOperator):
    """`A + B` of linear parts: y = BAx."""

    parts: tuple[LinearOperator, ...]
    _norms: dict[Shape, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def adjoint(self, y: Tensor) -> Tensor:
        """AᵀBᵀy."""
        return reduce(lambda u, part: part.adjoint(u), reversed(self.parts), y)

    def norm(self, shape: Shape) -> float:
        """‖BA‖, by Lanczos, on one channel where all are treated alike."""
        size = self._probed(shape)
        if size not in self._norms:
            self._norms[size] = spectral_norm(lambda x: self.adjoint(self.forward(x)), size)
        return self._norms[size]

    def support(self, shape: Shape) -> Tensor | None:
        """The last part's, less where a random picture's measurement is 0 because a part before it has holes."""
        last, before = self.parts[-1], self.parts[:-1]
        support = last.support(shape)
        if not last.local or not any(isinstance(part, Inpaint) for part in before):
            return support
        size = self._probed(self.truth_shape(shape))
        y = self.forward(torch.randn(1, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
        reached = y.abs() > _NOTHING * y.abs().max()
        reached = reached if support is None else reached & support.bool()
        return None if bool(reached.all()) else reached

    def _probed(self, shape: Shape) -> Shape:
        """Of pictures that say what it does to those of `shape`."""
        return (1, *shape[1:]) if self.alike else shape


@dataclass(frozen=True)
class Compressed(Composition, ProximalOperator):
    """`A + jpeg`: to the proximal map the codec is noise, of its `noise_std`, on y = A(x)."""

    if not TYPE_CHECKING:

        @property
        def dependable(self) -> bool:
            """As A."""
            return self.before.dependable

    @cached_property
    def before(self) -> ProximalOperator:
        """A."""
        return proximal(compose(self.parts[:-1]), "A JPEG of a measurement", "another")

    @property
    def codec(self) -> Jpeg:
        """What comes after it."""
        return cast(Jpeg, self.parts[-1])

    def norm(self, shape: Shape) -> float:
        """That of A."""
        return self.before.norm(shape)

    def check_noise(self, gaussian: bool) -> None:
        """As the codec, where its coefficients are seen."""
        (self.codec if isinstance(self.before, LinearOperator) else self.before).check_noise(gaussian)

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """Of the codec's coefficients after A where that is linear, or else that of A."""
        before = self.before
        if isinstance(before, LinearOperator):
            return self.codec.prox_after(before, v, y, rho, weight)
        return before.prox(v, y, rho, weight)


def compose(parts: Sequence[Operator]) -> Operator:
    """The operator that applies `parts` in turn; linear when all of them are.

    Raises:
        InputError: no parts, or one that does not give a picture stands before another.
    """
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Composition) else (part,))]
    if not flat:
        raise InputError("A composition needs at least one operator.")
    for part in flat[:-1]:
        if not part.picture:
            raise InputError(f"'{part}' does not give a picture, so that no operator can follow it; put it last.")
    if len(flat) == 1:
        return flat[0]
    if all(isinstance(part, LinearOperator) for part in flat):
        return LinearComposition(tuple(part for part in flat if isinstance(part, LinearOperator)))
    compressed = isinstance(flat[-1], Jpeg) and isinstance(compose(flat[:-1]), ProximalOperator)
    return (Compressed if compressed else Composition)(tuple(flat))


def _within(error: InputError) -> str:
    """The sentence of an error inside another."""
    text = str(error)
    return text if text.startswith("Operator") else text[:1].lower() + text[1:]
