"""The matrix of house_commands.py as commands that know what they need.

Each runs in a fresh folder with the inputs. One that needs what others wrote names them, and finds their results beside
the inputs as they were left.
"""

import shlex
from dataclasses import dataclass
from fnmatch import fnmatch

from house_commands import MATRIX


@dataclass(frozen=True)
class Command:
    """One line of the matrix.

    Args:
        group: its kind.
        name: unique within the matrix.
        line: what is typed after `veriscale`, or a script of Python.
        needs: commands whose files it finds.
    """

    group: str
    name: str
    line: str
    needs: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """For the interpreter."""
        words = shlex.split(self.line)
        return words[1:] if words[0] == "python" else ["-m", "veriscale", *words]


def commands() -> dict[str, Command]:
    """The matrix by name; a name that an earlier group has already is written group/name."""
    found: dict[str, Command] = {}
    for group, lines in MATRIX.items():
        for short, (line, *needs) in lines.items():
            name = short if short not in found else f"{group}/{short}"
            found[name] = Command(group, name, line, tuple(needs))
    return found


def chain(name: str, among: dict[str, Command]) -> list[str]:
    """Everything a command needs, each after what it needs itself, and the command last."""
    order: list[str] = []
    for other in among[name].needs:
        order += [n for n in chain(other, among) if n not in order]
    return [*order, name]


def chosen(patterns: list[str], among: dict[str, Command]) -> list[str]:
    """The names that a pattern fits, with what they need; all without patterns."""
    wanted = [n for n, c in among.items() if not patterns or any(fnmatch(n, p) or c.group == p for p in patterns)]
    order: list[str] = []
    for name in wanted:
        order += [n for n in chain(name, among) if n not in order]
    return order
