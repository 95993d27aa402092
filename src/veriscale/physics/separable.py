"""Operators that resample each axis by itself: A = R₁ ⊗ R₂ ⊗ …, with small matrices R."""

from abc import abstractmethod
from fractions import Fraction
from math import ceil, floor, prod, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.physics.conjugate_gradient import conjugate_gradient
from veriscale.physics.operator import LinearOperator

Taps = tuple[NDArray[np.int64], NDArray[np.float64]]
_HALF = Fraction(1, 2)
_DENSE = 1 << 20  # entries up to which a product with the matrix is faster than sums over taps


def fine_size(n: int, factor: float) -> int:
    """The length n·factor, rounded, that a coarse axis of length n stands for."""
    return floor(n * _ratio(factor) + _HALF)


def coarse_size(n: int, factor: float) -> int:
    """The largest m with fine_size(m) ≤ n; so coarse_size(fine_size(m)) = m for factors of at least 1."""
    return ceil((n + _HALF) / _ratio(factor)) - 1


def _ratio(factor: float) -> Fraction:
    return Fraction(factor).limit_denominator(1_000_000)  # 1.1 is meant, not the double next to it


class Resampling:
    """One axis: a sparse matrix R of size (n_out, n_in), as taps or, where it is small, dense."""

    def __init__(self, taps: Taps, n_in: int) -> None:
        """Take indices and weights, (n_out, taps) each: row i of R holds weight[i, j] at column index[i, j]."""
        index, weight = taps
        self.n_in, self.n_out = n_in, len(index)
        rows = np.broadcast_to(np.arange(self.n_out)[:, None], index.shape)
        entry, where = np.unique(rows * n_in + index, return_inverse=True)  # mirrored edges name a sample twice
        value = np.bincount(where.ravel(), weight.ravel(), len(entry)).astype(np.float64)
        self.identity = self.n_in == self.n_out and bool(np.all(index == rows)) and bool(np.all(weight == 1))
        self._dense = n_in * self.n_out <= _DENSE
        self._down = _padded(entry // n_in, entry % n_in, value, self.n_out)
        self._up = _padded(entry % n_in, entry // n_in, value, n_in)
        self._kept: dict[object, tuple[Tensor, ...]] = {}

    def forward(self, x: Tensor, axis: int) -> Tensor:
        """R along an axis of x."""
        if self._dense:
            return _along(self._tensors("matrix", x)[0], x, axis)
        return _gather(x, axis, *self._tensors("down", x))

    def adjoint(self, y: Tensor, axis: int) -> Tensor:
        """Rᵀ along an axis of y; sums over taps too, so that no two threads add to one place."""
        if self._dense:
            return _along(self._tensors("matrix", y)[0].T, y, axis)
        return _gather(y, axis, *self._tensors("up", y))

    def eigen(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Eigenvalues (n_out,) and vectors (n_out, n_out) of RRᵀ, found in float64."""
        values, vectors = self._tensors("eigen", like)
        return values, vectors

    def norm(self) -> float:
        """‖R‖."""
        return sqrt(float(self.eigen(torch.empty(0, dtype=torch.float64))[0][-1]))

    def _tensors(self, kind: str, like: Tensor) -> tuple[Tensor, ...]:
        key = kind, like.dtype, like.device
        if key not in self._kept:
            self._kept[key] = tuple(part.to(like.device) for part in self._make(kind, like.dtype))
        return self._kept[key]

    def _make(self, kind: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
        if kind == "matrix":
            index, weight = self._down
            matrix = np.zeros((self.n_out, self.n_in))
            np.add.at(matrix, (np.arange(self.n_out)[:, None], index), weight)
            return (torch.from_numpy(matrix).to(dtype),)
        if kind == "eigen":
            if dtype != torch.float64:
                return tuple(part.to(dtype) for part in self.eigen(torch.empty(0, dtype=torch.float64)))
            eye = torch.eye(self.n_out, dtype=torch.float64)
            values, vectors = torch.linalg.eigh(self.forward(self.adjoint(eye, 0), 0))
            return values.clamp(min=0), vectors
        index, weight = self._down if kind == "down" else self._up
        return torch.from_numpy(index), torch.from_numpy(weight).to(dtype)


def _padded(rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64], n: int) -> Taps:
    """Entries of a sparse matrix of n rows as (n, taps) columns and values, short rows filled with zeros."""
    order = np.lexsort((columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    counts = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    index = np.zeros((n, max(1, int(counts.max()))), np.int64)
    weight = np.zeros(index.shape)
    index[rows, place], weight[rows, place] = columns, values
    return index, weight


def _gather(x: Tensor, axis: int, index: Tensor, weight: Tensor) -> Tensor:
    shape = [1] * x.ndim
    shape[axis] = -1
    out = x.index_select(axis, index[:, 0]) * weight[:, 0].reshape(shape)
    for tap in range(1, index.shape[1]):
        out = out + x.index_select(axis, index[:, tap]) * weight[:, tap].reshape(shape)
    return out


def _along(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    """Multiply an axis by a matrix."""
    if axis % x.ndim == x.ndim - 1:
        return x @ matrix.T
    if axis % x.ndim == x.ndim - 2:
        return matrix @ x
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


class Separable(LinearOperator):
    """A resampling of some axes.

    The proximal map is solved among the measurements, of which there are fewer: x = v + Aᵀu with
    (AAᵀ + ρW⁻¹)u = y − Av, AAᵀ = RRᵀ ⊗ CCᵀ = (U ⊗ V)(Λ ⊗ M)(U ⊗ V)ᵀ. Without weights that is the answer; with them
    it preconditions conjugate gradients. (Woodbury's identity; eigenvalues of Kronecker products: Golub, Van Loan.)
    """

    @abstractmethod
    def resamplings(self, shape: tuple[int, ...]) -> dict[int, Resampling]:
        """Each axis of a (B, C, …) array that is resampled, negative, and how, for an x of shape (C, …)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, …) → (B, C, …), the resampled axes shorter."""
        for axis, r in self._real(tuple(x.shape[1:])).items():
            x = r.forward(x, axis)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀy; the truth's shape is `truth_shape` of y's."""
        for axis, r in self._real(self.truth_shape(tuple(y.shape[1:]))).items():
            y = r.adjoint(y, axis)
        return y

    def norm(self, shape: tuple[int, ...]) -> float:
        """‖A‖ = ∏ ‖R‖, exact."""
        return prod(r.norm() for r in self._real(shape).values())

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `LinearOperator.prox`: closed form for W = 1, else conjugate gradients on the measurement's grid."""
        axes = self._real(tuple(v.shape[1:]))
        rest = y - self.forward(v)
        if weight is None:
            return v + self.adjoint(_solve(axes, rest, rho))
        damping = rho / weight
        # K + D with D uneven: T(K + d)⁻¹T with T² = (k + d)/(k + D), k the typical K, is right where K is even, where
        # D is, and where one outweighs the other
        typical = prod(float(r.eigen(y)[0].mean()) for r in axes.values())
        both = (typical + damping).expand_as(y)
        level = both.log().flatten(1).mean(1).exp().view(-1, *[1] * (y.ndim - 1))
        scale = (level / both).sqrt()
        u = conjugate_gradient(
            lambda u: self.forward(self.adjoint(u)) + damping * u,
            rest,
            lambda r: scale * _solve(axes, scale * r, level - typical),
        )
        return v + self.adjoint(u)

    def _real(self, shape: tuple[int, ...]) -> dict[int, Resampling]:
        return {axis: r for axis, r in self.resamplings(shape).items() if not r.identity}


def _solve(axes: dict[int, Resampling], y: Tensor, rho: float | Tensor) -> Tensor:
    """(AAᵀ + ρ)⁻¹y."""
    gain = torch.ones((), dtype=y.dtype, device=y.device)
    for axis, r in axes.items():
        values, vectors = r.eigen(y)
        y = _along(vectors.T, y, axis)
        gain = gain * values.reshape([-1] + [1] * (-axis - 1))
    y = y / (gain + rho)
    for axis, r in axes.items():
        y = _along(r.eigen(y)[1], y, axis)
    return y
