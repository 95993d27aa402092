"""What two runs of one command may differ in: times, versions, memory, the checkout's own path, 1 for 1.0; no more."""

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path

TEXT = (".json", ".html", ".part", ".csv", ".txt", "stdout", "stderr")
WIDTH = 160  # characters of a line that differs
LINES = 8

Change = str | Callable[[re.Match[str]], str]


FORGIVEN: dict[str, tuple[str, Change]] = {
    "the seconds of a run's phases": (
        r'"seconds": \{[^{}]*\}',
        lambda m: re.sub(r"(?<=: )[\d.e+-]+", "<time>", m[0]),
    ),
    "the versions of a run": (r'"versions": \{[^{}]*\}', lambda m: re.sub(r'(?<=: )"[^"]*"', "<version>", m[0])),
    "the peak memory of a run": (r'(?<="peak_memory_mb": )\d+', "<memory>"),
    "1 for 1.0 among the dial positions of a run: Python's integers were kept as such": (
        r'"dial": \[[^\]]*\]',
        lambda m: re.sub(r"(?<![\d.])(\d+)(?![\d.])", r"\1.0", m[0]),
    ),
    "the report's row of seconds": (
        r'<th scope="row">time</th><td>[^<]*',
        lambda m: re.sub(r"[\d.e+-]+(?= s)", "<time>", m[0]),
    ),
    "the report's row of the version": (r'(?<=<th scope="row">version</th><td>)[^<]*', "<version>"),
    "lines of progress, which come after some seconds": (r"(?m)^.*: \d+ of \d+, \d+ s left\n", ""),
    "how long a folder took": (r"(?m)(?<= done in )\d+(?= s\.$)", "<time>"),
    "the seconds in the table of a training's losses": (r"(?m)^([a-z]+,\d+,)[\d.]+", r"\1<time>"),
}
BESIDE = (
    "the path of the checkout",
    "a trained prior's and a training state's seconds, with the hash of the card that holds them and the order of the "
    "header's keys, which safetensors draws by lot",
    "everything but the names of the options on help pages",
)


def normal(name: str, content: bytes, checkout: Path) -> bytes:
    """What has to be the same.

    Args:
        name: of the output: a file's, "stdout" or "stderr".
        content: its bytes.
        checkout: whose path may stand in it.
    """
    if name.endswith(".safetensors"):
        return _prior(content)
    if not name.endswith(TEXT):
        return content
    text = content.decode("utf-8", errors="surrogateescape").replace(str(checkout), "<checkout>")
    for pattern, change in FORGIVEN.values():
        text = re.sub(pattern, change, text)
    return text.encode("utf-8", errors="surrogateescape")


def options(page: bytes) -> bytes:
    """The options that a help page names, sorted."""
    return "\n".join(sorted(set(re.findall(r"--[a-z][a-z-]*", page.decode())))).encode()


def _prior(content: bytes) -> bytes:
    """A safetensors file with its header in order, without seconds and what depends on them."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    facts = header.get("__metadata__", {})
    facts.pop("card_sha256", None)
    for key, text in facts.items():
        facts[key] = re.sub(r'("seconds": ?)[\d.e+-]+', r"\1<time>", text)
    return json.dumps(header, sort_keys=True).encode() + content[8 + length :]


def excerpt(name: str, before: bytes, after: bytes) -> str:
    """Where two outputs part, in a few lines."""
    if not name.endswith(TEXT) and name != "exit code":
        return f"{len(before)} bytes, and now {len(after)} others"
    old, new = (content.decode("utf-8", errors="replace").splitlines() for content in (before, after))
    lines = [line for line in difflib.unified_diff(old, new, lineterm="", n=0) if not line.startswith(("---", "+++"))]
    shown = [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in lines[:LINES]]
    return "\n".join(shown + ([f"… and {len(lines) - LINES} more lines"] if len(lines) > LINES else []))
