"""What in a command looks like a secret, which certificates, run.json and logs would hold."""

import os
import re
from collections.abc import Sequence

_OPTION = re.compile(
    r"(.*[-_])?(token|api[-_]?key|access[-_]?key|secret([-_]?key)?|password|passwd|passphrase|pwd)", re.IGNORECASE
)
_OFTEN = re.compile(r"-p|--?key", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z_-]+|[-+\d.,:x×%]+|.*/.*")  # a word, a number, a size, a path: no secret of those
_KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(sk-(?=[\w-]*\d)[\w-]{16,}|gh[opsur]_\w{8,}|github_pat_\w{8,}|hf_\w{16,}|AKIA[A-Z\d]{8,}|"
    r"xox[a-z]-[\w-]{8,})"
)
_RANDOM = re.compile(
    r"(?<![A-Za-z\d])((?=\w*[A-Z])(?=\w*[a-z])(?=([A-Za-z]*\d+){3})[A-Za-z\d]{24,}|(?=\w*\d)(?=\w*[a-f])[a-f\d]{32,})"
)
_FILE = re.compile(r"(\.{0,2}|~)/.*|.*\.[A-Za-z]\w{0,9}")  # a path, or a name with an extension
_PLACEHOLDER = re.compile(r"[{}]")


def secret_words(words: Sequence[str]) -> list[str]:
    """What is to be called a secret among a command's words, by names that do not tell it.

    A secret is the value of an option that says so (`--password x`, `API_KEY=x`), or of `-p` and `--key` where that is
    no plain word, number or file; and a word that begins as the keys of known services do, or is long and random.
    Files are none, nor is what holds a placeholder.
    """
    found, told = list[str](), False
    for word, after in zip(words, [*words[1:], ""], strict=True):
        was_told, told = told, False
        name, joined, value = word.partition("=")
        if _is_secret(name, value if joined else after):
            found.append(name)
            told = not joined  # the next word, which need not be told again
        elif not was_told and _is_key(value if joined else word):
            found.append(name if joined else f"{word[:4]}…")
    return found


def _is_secret(name: str, value: str) -> bool:
    if not value or value.startswith("-") or _PLACEHOLDER.search(value) or os.path.isfile(value):
        return False
    often = _OFTEN.fullmatch(name) and not _PLAIN.fullmatch(value) and not _FILE.fullmatch(value)
    return bool(_OPTION.fullmatch(name) or often)


def _is_key(word: str) -> bool:
    if _PLACEHOLDER.search(word) or os.path.exists(word) or _FILE.fullmatch(word):
        return False
    return bool(_KNOWN.search(word) or _RANDOM.search(word))
