"""What a run that was cut off leaves behind, so that the next one goes on to the same bytes."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from veriscale.imaging.atomic import make_folder, replacing

Array = NDArray[np.float32]


@dataclass(frozen=True)
class KeptState:
    """A hidden folder beside the results: arrays in files, and how many parts of the work are in them.

    Attributes:
        folder: where it lies; it goes when the results are written.
        facts: what the work depends on: of other facts it begins anew.
    """

    folder: Path
    facts: dict[str, Any]

    def arrays(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
        """Arrays by name, as they were left or of zeros."""
        if not self._known():
            self.remove()
            make_folder(self.folder)
            with replacing(self._facts) as temporary:
                temporary.write_text(json.dumps(self.facts, sort_keys=True), encoding="utf-8")
        return {name: self._array(name, shape) for name, shape in shapes.items()}

    def parts(self, count: int) -> Iterator[int]:
        """The parts that are still to do; each is done when the next is asked for."""
        done = self._done()
        for part in range(done, count):
            yield part
            with replacing(self._count, force=True) as temporary:
                temporary.write_text(str(part + 1), encoding="utf-8")

    def taken(self, stage: str) -> dict[str, Tensor] | None:
        """As `traversal.anchor.Kept`."""
        path = self.folder / f"{stage}.safetensors"
        if not path.is_file():
            return None
        # copies, aligned as tensors are: a product's last bits follow the alignment
        return {name: tensor.clone() for name, tensor in load_file(path).items()}

    def put(self, stage: str, state: dict[str, Tensor]) -> None:
        """As `traversal.anchor.Kept`."""
        with replacing(self.folder / f"{stage}.safetensors", force=True) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)

    def remove(self) -> None:
        """Forget it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _known(self) -> bool:
        then = self._facts.read_text(encoding="utf-8") if self._facts.is_file() else None
        return then == json.dumps(self.facts, sort_keys=True)

    def _done(self) -> int:
        count = self._count.read_text(encoding="utf-8") if self._count.is_file() else ""
        return int(count) if count.isdecimal() else 0

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        path = self.folder / f"{name}.npy"
        if not path.is_file():
            with replacing(path) as temporary:
                np.lib.format.open_memmap(temporary, "w+", np.float32, shape).flush()
        return np.asarray(np.lib.format.open_memmap(path, "r+"))

    @property
    def _facts(self) -> Path:
        return self.folder / "facts.json"

    @property
    def _count(self) -> Path:
        return self.folder / "done.txt"
