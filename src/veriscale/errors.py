"""The one exception for the user's mistakes."""

import difflib
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path

_SETTING = re.compile(r"`--([a-z][a-z0-9-]*)`")
_PYTHON = {"set": "overrides", "from": "repeat", "volume": "index"}  # where the argument has another name
FLAGS = ContextVar("FLAGS", default=False)
"""Whether an `InputError` names settings as the command line does; `cli` says so."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one sentence: what is wrong, where, and what would do. It names a setting as `--score-files`; whoever
    reads it sees a command's flag, --score-files, where `FLAGS` is set, and Python's argument, score_files, else.
    """

    def __str__(self) -> str:
        return spoken(super().__str__())


def spoken(sentence: str) -> str:
    """A sentence that names settings as `--score-files`, in the words of whoever reads it."""
    return _SETTING.sub(_name, sentence)


def _name(found: re.Match[str]) -> str:
    return f"--{found[1]}" if FLAGS.get() else _PYTHON.get(found[1], found[1].replace("-", "_"))


def about(error: Exception | str, path: Path | str) -> str:
    """The error's sentence, with the file it is about."""
    sentence = str(error)
    return sentence if str(path) in sentence else f"{path}: {sentence}"


def untold(error: Exception | str, labels: Mapping[Path, str]) -> str:
    """The error's sentence with labels in the place of files, whose names may be those of people."""
    sentence = str(error)
    for path in sorted(labels, key=lambda path: len(str(path)), reverse=True):
        for name in (str(path), path.name):
            # A folder's name may be any word of the sentence, and is known for one by what stands around it.
            after = r"(?![\w-])" if re.search(r"\w[./ ]\w", name) else r"(?=[/'\"])"
            sentence = re.sub(rf"(?<![\w-]){re.escape(name)}{after}", labels[path], sentence) if name else sentence
    return sentence


def nameless(error: Exception | str, path: Path, label: str) -> str:
    """The error's sentence about one file, with a label in the place of its name."""
    sentence = untold(error, {path: label})
    return sentence if label in sentence else f"{label}: {sentence}"


def scan_label(number: int, of: int) -> str:
    """What the messages call a scan, whose name may be that of a person.

    Args:
        number: among the inputs, from 1.
        of: how many there are.
    """
    return f"the scan ({number} of {of})" if of > 1 else "the scan"


def shown(given: object) -> str:
    """For a sentence: what it is where that is short, else of which kind."""
    text = repr(given)
    return text if len(text) <= 40 and "\n" not in text and text[:1] != "<" else f"a {type(given).__name__}"


def closest(name: str, known: Iterable[str]) -> str:
    """Name the known values, the closest to `name` first: the end of an `InputError` about an unknown name."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {match[0]!r}? " if match else ""
    return f"{hint}known: {', '.join(names)}"
