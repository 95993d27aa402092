"""The commands of docs/tutorial-scarce-data.md run as they stand, in their order, and print what the page quotes.

Scans, networks and steps are tiny: the settings in `SMALL` are added to the training, whose parent is a tiny `mri`; of
the rule of anchors one candidate each is measured.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.cli.test_target import TINY, sets
from tests.conftest import write_tiny
from tests.stages.scans import write

from veriscale.diffusion.checkpoint import read_card
from veriscale.stages import anchor_rule

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial-scarce-data.md").read_text(encoding="utf-8")
SMALL = [*TINY, "measure=all"]  # with the tables and the temperature that the page speaks of
COMMANDS = ["train", "priors", "evaluate", "evaluate", "calibrate", "priors", "degrade", "restore", "evaluate"]


@pytest.fixture
def run_page(veriscale, tmp_path, monkeypatch):
    """Run the commands of a page in a folder that has what it asks for; returns their names."""
    for folder in ("priors", "recipes"):
        (tmp_path / folder).mkdir()
    write_tiny(tmp_path / "priors" / "mri.safetensors", channels=1)
    shutil.copy(ROOT / "recipes" / "target.toml", tmp_path / "recipes")
    for folder, first, last in (("train", 1, 10), ("certificate", 11, 20), ("test", 21, 23)):
        for number in range(first, last + 1):
            group = ("healthy", "ill")[number % 2] if folder == "train" else "."
            scan = tmp_path / "scans" / folder / group / f"sub-{number:02}" / "T1w.nii.gz"
            write(scan, (42, 50, 4), seed=number)
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "priors"))
    rules = [(texts, {name: values[:1] for name, values in numbers.items()}) for texts, numbers in anchor_rule.RULES]
    monkeypatch.setattr(anchor_rule, "RULES", rules)
    monkeypatch.chdir(tmp_path)

    def call(page: str) -> list[str]:
        _, *parts = re.split(r"```sh\n(.*?)```\n", page, flags=re.DOTALL)
        names = []
        for block, prose in zip(parts[::2], parts[1::2], strict=True):
            printed = ""
            for line in block.replace("\\\n", "").splitlines():
                program, name, *arguments = shlex.split(line)
                assert program == "veriscale"
                code, out, err = veriscale(name, *arguments, *(sets(*SMALL) if name == "train" else ()))
                assert code == 0, f"{line}\n{err}"
                printed += out + err
                names.append(name)
            missing = [quote for quote in re.findall("“(.+?)”", prose) if quote not in printed]
            assert not missing, printed
        return names

    return call


def test_the_tutorial(run_page, tmp_path):
    assert run_page(PAGE) == COMMANDS
    assert read_card(tmp_path / "mine.safetensors").temperature != 1  # so that a second table was printed
    files = re.findall(r"`([\w/.-]+\.(?:csv|html|json|nii\.gz|png|safetensors|toml))`", PAGE)
    assert len(files) > 8
    assert [name for name in files if not any(tmp_path.rglob(Path(name).name))] == []


@pytest.mark.parametrize(
    "block, quoted",
    [
        ("veriscale priors mri", "“a licence of nobody”"),
        ("veriscale priors nowhere", ""),
        ("veriscale train recipes/target.toml --set stage.target.data=scans/train", ""),
        ("ls scans", ""),
    ],
)
def test_a_page_that_is_wrong_fails(run_page, block, quoted):
    with pytest.raises(AssertionError):
        run_page(f"```sh\n{block}\n```\n{quoted}")


def test_a_page_that_is_right_does_not(run_page):
    assert run_page("```sh\nveriscale priors mri\n```\nOf “channels” it has one.\n") == ["priors"]
