"""Files and names that the documents mention are there."""

import importlib
import re
from pathlib import Path

import pytest

import veriscale

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
INVENTED = {"src/veriscale/physics/exposure.py", "src/veriscale/trust/losses/mean_error.py"}  # the worked examples


def missing(text: str, folder: Path) -> list[str]:
    """The paths to files of code and documents, and the names of the package, that are not there."""
    paths = set(re.findall(r"(?<![\w/.-])(?:[\w.-]+/)+[\w-]+\.(?:py|md|toml|sh)\b", text)) - INVENTED
    lost = [p for p in paths if not any((base / p).exists() for base in (ROOT, ROOT / "src/veriscale", folder))]
    names = set(re.findall(r"\bveriscale\.(\w+)\b(?!\.)", re.sub(r"(?m)^from .*$", "", text)))
    lost += [f"veriscale.{n}" for n in names if n not in veriscale.__all__]
    for module, imported in re.findall(r"(?m)^\s*from (veriscale[\w.]*) import (.+)$", text):
        there = importlib.import_module(module)
        lost += [f"{module}.{n}" for n in imported.split(", ") if not hasattr(there, n)]
    return sorted(lost)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_what_a_document_mentions_is_there(document):
    assert missing(document.read_text(encoding="utf-8"), document.parent) == []


def test_what_is_not_there_is_found():
    text = "See trust/nowhere.py and `veriscale.unheard(1)`.\nfrom veriscale.errors import InputError, Nothing\n"
    assert missing(text, ROOT) == ["trust/nowhere.py", "veriscale.errors.Nothing", "veriscale.unheard"]
