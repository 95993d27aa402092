"""A checkout of the project, run beside another: its folder, its code's hash, its processes' surroundings."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cache import FOLDER


@dataclass(frozen=True)
class Checkout:
    """A folder that holds src/veriscale.

    Args:
        side: "before" or "after".
        folder: the checkout's.

    Raises:
        SystemExit: there is no src/veriscale in it.
    """

    side: str
    folder: Path

    def __post_init__(self) -> None:
        if not self.package.is_dir():
            raise SystemExit(f"--{self.side} {self.folder} holds no src/veriscale; name a checkout of the project.")

    @property
    def package(self) -> Path:
        """The code."""
        return self.folder / "src" / "veriscale"

    @cached_property
    def code(self) -> str:
        """A hash of every file of the package by name and content, whatever git says of them."""
        digest = hashlib.sha256()
        for path in sorted(p for p in self.package.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(f"{path.relative_to(self.package)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    @cached_property
    def label(self) -> str:
        """The short commit, with "-dirty" where src/ differs from it; the code's hash where there is no git."""

        def git(*arguments: str) -> str:
            command = ["git", "-C", str(self.folder), *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

        try:
            return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "src") else "")
        except (OSError, subprocess.CalledProcessError):
            return self.code

    def surroundings(self, home: Path, data: Path) -> dict[str, str]:
        """The environment of its processes: this interpreter, its own code, one thread, nothing of the user's.

        Args:
            home: an empty folder.
            data: pictures to train on.
        """
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(home),
            "VERISCALE_DATA": str(data),
            "PYTHONPATH": str(self.folder / "src"),
            "PYTHONPYCACHEPREFIX": str(FOLDER / "house" / "bytecode"),
            "MPLCONFIGDIR": str(FOLDER / "house" / "matplotlib"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
            "LANG": "C.UTF-8",
        }
