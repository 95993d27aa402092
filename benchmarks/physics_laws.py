"""The laws of linear operators, over the registry: writes docs/results/physics_laws.json.

Small grids, so that dense matrices tell the truth. Run: python benchmarks/physics_laws.py
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from results import Row, write_results
from veriscale.physics.downsample import Downsample
from veriscale.physics.operator import LinearOperator, Operator, Shape
from veriscale.physics.registry import OPERATORS, parse_operator

AFFINE = np.diag([0.9, 1.0, 0.7, 1.0])
ODD, WIDE, EVEN, VOLUME = (1, 17, 13), (1, 11, 24), (1, 18, 20), (1, 7, 9, 8)
EXAMPLES: list[tuple[str, Shape]] = [
    ("downsample:factor=4", EVEN),
    ("downsample:factor=4,kernel=box", WIDE),
    ("downsample:factor=2.5,kernel=lanczos3", WIDE),
    ("downsample:factor=4x1,kernel=gaussian", ODD),
    ("downsample:factor=1.3x2", VOLUME),
    ("denoise", ODD),
    ("blur:kernel=gaussian,std=3", ODD),
    ("blur:kernel=anisotropic,std=20x1,angle=45", EVEN),
    ("blur:kernel=gaussian,std=1.5,boundary=reflect", WIDE),
    ("blur:kernel=anisotropic,std=5x0.7,angle=-30,boundary=reflect", EVEN),
    ("blur:kernel=kernel.npy", WIDE),
    ("blur:kernel=kernel.npy,boundary=reflect", ODD),
    ("inpaint:keep=0.5,seed=0", ODD),
    ("inpaint:mask=mask.png", EVEN),
    ("inpaint:box=6", WIDE),
    ("sensing:ratio=0.5,seed=0", ODD),
    ("slice:fwhm=4,step=4,axis=2", VOLUME),
    ("slice:fwhm=2,step=2,axis=0", EVEN),
    ("fourier:accel=4,centre=0.08,seed=0", ODD),
    ("fourier:accel=2.5,centre=0.3,seed=1", EVEN),
    ("blur:kernel=gaussian,std=1 + downsample:factor=2", EVEN),
    ("inpaint:box=6 + downsample:factor=3,kernel=box", EVEN),
    ("downsample:factor=1.5 + inpaint:keep=0.5", WIDE),
    ("blur:kernel=anisotropic,std=3x0.5,angle=30,boundary=reflect + inpaint:mask=mask.png + fourier:accel=2", EVEN),
    ("hdr:gain=2", ODD),
    ("nonlinear-blur:seed=0", EVEN),
    ("jpeg:quality=40", ODD),
    ("downsample:factor=2 + jpeg:quality=70", EVEN),
]
RHOS = [1e-4, 1e-2, 1.0, 30.0]
WEIGHTS = 0.01, 100.0  # log-normal white noise between these: harsher than any noise model's

NOTES = (
    "float64; each value is the worst over the operators of the registry with their options, alone and composed, on "
    "odd, even and non-square grids of 221 to 504 values. adjoint: |⟨Ax, y⟩ − ⟨x, Aᵀy⟩| / (‖Ax‖‖y‖). pinv: "
    "‖AA⁺A − A‖ as a share of what is promised, rcond·‖A‖ with rcond = 0.01. prox: the norm of the objective's "
    f"gradient at the answer relative to that at the start, ρ = {', '.join(f'{rho:g}' for rho in RHOS)}; closed forms "
    "reach rounding, conjugate gradients stop at 1e-6. prox.weighted: the same with log-normal white weights in "
    f"[{WEIGHTS[0]:g}, {WEIGHTS[1]:g}], harsher than any noise model's: where it falls short the solver's 400 steps "
    "were used up, which happens to reflecting edges with a skew kernel at the smallest ρ. norm: relative to the "
    "singular values of the dense matrix. strings: how many "
    "operators, non-linear ones included, do not come back equal from their string. adjoint.broken is a control: an "
    "adjoint one pixel off must fail. The worst operator of a law stands beside its number."
)


def main() -> None:
    print("about ten seconds on one core")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(law_rows(Path(folder)))
    for row in rows:
        print(f"{row.id:32} {row.value:9.3g}  {row.bar or '':9} {row.holds}  {next(iter(row.against or {}), '')}")
    print(write_results("physics_laws", rows, NOTES, time.perf_counter() - started))


def law_rows(folder: Path) -> Iterator[Row]:
    """One row for each law; the files that operators need are written into `folder`."""
    torch.manual_seed(0)
    named = operators(folder)
    linear = {name: case for name, case in named.items() if isinstance(case[0], LinearOperator)}
    laws: list[tuple[str, str, Callable[..., float], str]] = [
        ("adjoint", "worst error of the adjoint", adjoint_error, "<= 1e-10"),
        ("pinv", "worst ‖AA⁺A − A‖ / (rcond·‖A‖)", pinv_error, "<= 1"),
        ("prox", "worst gradient left by the proximal map", prox_error, "<= 1e-5"),
        ("prox.weighted", "worst gradient left by the weighted proximal map", weighted_prox_error, "<= 1e-5"),
        ("norm", "worst relative error of the declared norm", norm_error, "<= 1e-4"),
    ]
    for law, what, error, bar in laws:
        errors = {name: error(*case) for name, case in linear.items()}
        worst = max(errors, key=lambda name: errors[name])
        yield Row(f"physics.law.{law}", what, errors[worst], bar=bar, against={worst: errors[worst]})
    lost = sum(parse_operator(str(operator)) != parse_operator(name, folder) for name, (operator, _) in named.items())
    yield Row("physics.law.strings", f"strings of {len(named)} operators that do not read back", lost, bar="<= 0")
    broken = adjoint_error(Shifted(2), (1, 16, 16))
    yield Row("physics.law.adjoint.broken", "error of an adjoint one pixel off (must fail)", broken, bar="> 1e-3")


class Shifted(Downsample):
    """A downsampling whose adjoint is one pixel off."""

    def adjoint(self, y: Tensor) -> Tensor:
        return super().adjoint(y).roll(1, -1)


def operators(folder: Path) -> dict[str, tuple[Operator, Shape]]:
    """Every example by its string: bound to a grid, with the shape of its truth."""
    np.save(folder / "kernel.npy", np.random.default_rng(0).random((5, 4)) - 0.1)  # even, skew, partly negative
    mask = np.random.default_rng(1).random(EVEN[1:]) < 0.4
    Image.fromarray(mask.astype(np.uint8)).save(folder / "mask.png")
    named: dict[str, tuple[Operator, Shape]] = {}
    for text, shape in EXAMPLES:
        operator = parse_operator(text, folder).bind(AFFINE)
        named[text] = operator, operator.truth_shape(operator.measurement_shape(shape))
    shown = {part.partition(":")[0] for text in named for part in text.split(" + ")}
    if missing := set(OPERATORS) - shown:
        raise ValueError(f"no example of {', '.join(sorted(missing))}")
    return named


def random_pair(a: LinearOperator, shape: Shape) -> tuple[Tensor, Tensor]:
    """A truth and a measurement of white noise, the latter where there are measured values."""
    y = torch.randn(2, *a.measurement_shape(shape), dtype=torch.float64)
    support = a.support(tuple(y.shape[1:]))
    return torch.randn(2, *shape, dtype=torch.float64), y if support is None else y * support


def dense(function: Callable[[Tensor], Tensor], shape: Shape) -> Tensor:
    """The transposed matrix of a linear function on one channel."""
    n = math.prod(shape)
    return function(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).reshape(n, -1)


def adjoint_error(a: LinearOperator, shape: Shape) -> float:
    x, y = random_pair(a, shape)
    ax = a.forward(x)
    return float(((ax * y).sum() - (x * a.adjoint(y)).sum()).abs() / (ax.norm() * y.norm()))


def pinv_error(a: LinearOperator, shape: Shape) -> float:
    matrix = dense(a.forward, shape)
    again = dense(lambda x: a.forward(a.pinv(a.forward(x))), shape)
    return float(torch.linalg.matrix_norm(again - matrix, 2) / torch.linalg.matrix_norm(matrix, 2)) / a.rcond


def prox_error(a: LinearOperator, shape: Shape, weighted: bool = False) -> float:
    v, y = random_pair(a, shape)
    weight = torch.exp(1.5 * torch.randn_like(y)).clamp(*WEIGHTS) if weighted else torch.ones_like(y)
    start = a.adjoint(weight * (a.forward(v) - y)).norm()
    left = []
    for rho in RHOS:
        x = a.prox(v, y, rho, weight if weighted else None)
        left.append(float((a.adjoint(weight * (a.forward(x) - y)) + rho * (x - v)).norm() / start))
    return max(left)


def weighted_prox_error(a: LinearOperator, shape: Shape) -> float:
    return prox_error(a, shape, weighted=True)


def norm_error(a: LinearOperator, shape: Shape) -> float:
    return abs(a.norm(shape) / float(torch.linalg.matrix_norm(dense(a.forward, shape), 2)) - 1)


if __name__ == "__main__":
    main()
