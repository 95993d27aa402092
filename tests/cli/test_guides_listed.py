"""Files of guides beside priors: listed, shown, loaded, refused."""

import json

import pytest
from tests.conftest import write_tiny
from tests.guides.conftest import write_guides

import veriscale as library
from veriscale.guides.guided_prior import GuidedPrior


@pytest.fixture
def installed(tiny, tiny_file, veriscale, tmp_path, monkeypatch):
    """A folder with a prior and its guides."""
    folder = tmp_path / "priors"
    folder.mkdir()
    (folder / "tiny.safetensors").write_bytes(tiny_file.read_bytes())
    write_guides(folder / "tiny-guided.safetensors", tiny)
    monkeypatch.setenv("VERISCALE_PRIORS", str(folder))
    return folder


def test_guides_are_listed_and_shown_with_the_licences_of_both(installed, veriscale):
    code, out, err = veriscale("priors")
    assert code == 0, err
    assert "not a prior" not in err
    (line,) = [line for line in out.splitlines() if line.startswith("tiny-guided: ")]
    assert line.startswith("tiny-guided: guides tiny, T2 by T1, T1C, FLAIR; trained on CC BY 4.0; ")
    code, out, err = veriscale("priors", "tiny-guided")
    assert code == 0, err
    for told in (
        "guides     tiny (sha256 ",
        "T2, by any of T1, T1C, FLAIR",
        "guides' data: CC BY 4.0",
        "tiny's data: CC0",
    ):
        assert told in out
    rows = json.loads(veriscale("priors", "--json")[1])
    assert {"name": "tiny-guided", "guides": "tiny", "modalities": ["T1", "T1C", "FLAIR"]}.items() <= next(
        row.items() for row in rows if row["name"] == "tiny-guided"
    )
    assert json.loads(veriscale("priors", "tiny-guided", "--json")[1])["parent"] == "tiny"


def test_guides_are_loaded_like_a_prior(installed):
    prior = library.load_prior("tiny-guided", "cpu")
    assert isinstance(prior, GuidedPrior)
    assert (prior.named, prior.card.name) == ("tiny-guided", "tiny")
    assert [data.licence for data in prior.seen] == ["CC0", "CC BY 4.0"]


def test_guides_whose_parent_is_not_there_are_refused(installed, refused, skimage_data, tmp_path):
    (installed / "tiny.safetensors").unlink()
    said = refused("restore", skimage_data / "coffee.png", "--prior", "tiny-guided", "-o", tmp_path / "out.png")
    assert "guides the prior 'tiny', which has to lie beside it or in a folder of VERISCALE_PRIORS: no prior" in said
    write_tiny(installed / "tiny.safetensors", channels=1)
    said = refused("restore", skimage_data / "coffee.png", "--prior", "tiny-guided", "-o", tmp_path / "out.png")
    assert "bring that prior back" in said
    assert not (tmp_path / "out.png").exists()
