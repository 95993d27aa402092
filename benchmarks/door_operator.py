"""door.operator.*: a user's blur made of functions against the registry's reflecting one."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import veriscale
from pictures import centre, files
from results import Row, write_results
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.physics.blur import Blur
from veriscale.physics.own_operator import OwnOperator

SIDE, NOISE, STD, REACH, ROUNDS = 256, 0.02, 2.0, 8, 3


def taps() -> np.ndarray:
    row = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / STD) ** 2)
    return np.outer(row, row) / row.sum() ** 2


def functions() -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """A Gaussian blur with mirrored edges by two products with matrices, and its adjoint."""
    row = torch.from_numpy(np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / STD) ** 2)).float()
    row = row / row.sum()

    def matrix(n: int) -> Tensor:
        out = torch.zeros(n, n)
        for i in range(n):
            for k, tap in enumerate(row, start=i - REACH):
                out[i, k if 0 <= k < n else (-k - 1 if k < 0 else 2 * n - 1 - k)] += tap
        return out

    kept: dict[int, Tensor] = {}

    def of(n: int) -> Tensor:
        return kept.setdefault(n, matrix(n)) if n not in kept else kept[n]

    def forward(x: Tensor) -> Tensor:
        return of(x.shape[-2]) @ x @ of(x.shape[-1]).T

    def adjoint(y: Tensor) -> Tensor:
        return of(y.shape[-2]).T @ y @ of(y.shape[-1])

    return forward, adjoint


def main() -> None:
    print("about two minutes on two cores")
    begun = time.perf_counter()
    prior, exact = veriscale.load_prior("photo"), veriscale.load_prior("photo", dtype=torch.float32)
    x = Photo(centre(read_photo(files("validation")[1]).pixels, SIDE), bit_depth=32, format="npy")
    forward, adjoint = functions()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "kernel.npy", taps())
        known = Blur(kernel=str(Path(folder) / "kernel.npy"), boundary="reflect")
        owns: dict[str, OwnOperator] = {
            "functions": veriscale.operator_from(forward, adjoint=adjoint, name="blur", version="1"),
            "autograd": veriscale.operator_from(forward, name="blur", version="1"),
        }
        u = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        y = veriscale.degrade(x, known, NOISE)
        found: dict[str, list[float]] = {"known": [], **{name: [] for name in owns}}
        for _ in range(ROUNDS):  # in turn, so that all see the same machine
            for name, operator in {"known": known, **owns}.items():
                start = time.perf_counter()
                veriscale.restore(y, prior, operator=operator, noise=NOISE)
                found[name].append(time.perf_counter() - start)
        for name, own in owns.items():
            for what, a, b in (
                ("forward", known.forward(u), own.forward(u)),
                ("adjoint", known.adjoint(u), own.adjoint(u)),
            ):
                off = float((a - b).abs().max())
                rows.append(
                    Row(
                        f"door.operator.{name}.{what}",
                        f"a blur of {name}: {what}, largest difference",
                        off,
                        bar="<= 1e-6",
                    )
                )
            whole = [veriscale.restore(y, exact, operator=o, noise=NOISE).image.pixels for o in (own, known)]
            off = float(np.abs(whole[0] - whole[1]).max())
            what = f"a blur of {name}: the whole restoration in float32, largest difference"
            rows.append(Row(f"door.operator.{name}.restoration", what, off, bar="<= 1e-3"))
            ratio = min(found[name]) / min(found["known"])
            seconds = {"seconds": min(found[name]), "the registry's": min(found["known"])}
            what = f"a blur of {name}: time of the whole restoration over the registry's"
            rows.append(Row(f"door.operator.{name}.time", what, ratio, bar="<= 1.2", against=seconds))
    notes = (
        f"A Gaussian of {STD} pixels cut at {REACH}, mirrored edges, s = {NOISE}; a validation crop of {SIDE}², dial "
        "0. "
        "The functions multiply by a banded matrix along each axis; the registry's blur uses FFTs. Both proximal maps "
        "are conjugate gradients, preconditioned in the cosine transform, which the user's operator finds out by "
        f"itself from two pictures. Times are the least of {ROUNDS} rounds in turn, checks on entry included."
    )
    print(write_results("door_operator", rows, notes, time.perf_counter() - begun))


if __name__ == "__main__":
    main()
