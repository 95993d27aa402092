import json
from pathlib import Path

import pytest
from safetensors import safe_open

from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

RECIPES = Path(__file__).parents[2] / "recipes"


def test_evaluate_goes_on_past_a_bad_file(veriscale, skimage_data, tmp_path):
    photo = read_photo(skimage_data / "coffee.png")
    (tmp_path / "in").mkdir()
    write_photo(photo.with_pixels(photo.pixels[100:196, 100:228]), tmp_path / "in" / "a.png")
    write_photo(photo.with_pixels(photo.pixels[:6, :6]), tmp_path / "in" / "tiny.png")
    (tmp_path / "in" / "b.heic").touch()
    code, out, err = veriscale("evaluate", tmp_path / "in", "--prior", "tiny", "-o", tmp_path / "out", "--json")
    assert code == 2
    left, failed = err.splitlines()
    assert left == f"Folder {tmp_path / 'in'}: 1 file is left out: 1 .heic."
    assert failed.startswith(f"veriscale: {tmp_path / 'in' / 'tiny.png'}")
    assert [r["dial"] for r in json.loads(out)] == ["bicubic", 0.0]
    code, _, err = veriscale("evaluate", tmp_path / "in", "--prior", "tiny", "--quiet")
    assert (code, err.splitlines()) == (2, [failed, "veriscale: 1 of 2 inputs failed."])
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert content["pictures"][0]["picture"] == "a.png"


def test_priors_lists_and_shows(veriscale):
    code, out, _ = veriscale("priors")
    assert code == 0
    assert "tiny: RGB, ×2, ×3, ×4; trained on CC0" in out
    code, out, _ = veriscale("priors", "tiny")
    assert code == 0
    assert "trained on 3 files" in out
    code, out, _ = veriscale("priors", "tiny", "--json")
    assert json.loads(out)["name"] == "tiny"


def test_a_temperature_is_shown_where_there_is_one(veriscale, tiny, few, tmp_path):
    import msgspec

    from veriscale.diffusion.checkpoint import save_prior
    from veriscale.diffusion.prior import Networks

    card = msgspec.structs.replace(tiny.card, name="warm", temperature=1.25)
    save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), card, tmp_path / "warm.safetensors")
    assert "temperature" not in veriscale("priors", "tiny")[1]
    shown = veriscale("priors", tmp_path / "warm.safetensors")[1]
    assert "  temperature 1.25 of .std: the spread–skill of validation draws was 0.8, and is 1 with it" in shown
    options = ("--scale", 2, "--sampler", "heun", "--steps", 2, "--samples", 3, "--quiet", "--device", "cpu")
    code, out, err = veriscale("evaluate", few / "00.png", "--prior", tmp_path / "warm.safetensors", *options)
    assert code == 0, err
    _, raw, scaled = out.split("\n\n")
    assert raw.startswith("3 draws at dial 1, t-intervals")
    assert scaled.startswith("3 draws at dial 1, times 1.25 from their mean, as .std is, t-intervals")
    ratios = [float(table.splitlines()[-1].split()[1]) for table in (raw, scaled)]
    assert ratios[1] == pytest.approx(1.25 * ratios[0], abs=2e-3)


def test_a_licence_that_forbids_commercial_use_is_said_once(veriscale, tiny, few, tmp_path):
    """Of the data of an ancestor too, and not of others."""
    import msgspec

    from veriscale.diffusion.card import Ancestor, Data
    from veriscale.diffusion.checkpoint import save_prior
    from veriscale.diffusion.prior import Networks

    def data(licence: str) -> list[Data]:
        return [Data("scans/*", 7, "1" * 64, licence)]

    def said(*licences: str) -> list[str]:
        own, *before = licences
        lineage = [Ancestor("brain", "b" * 64, 1, [2], data(x), {}, [], 1.0, {}) for x in before]
        card = msgspec.structs.replace(tiny.card, name="heart", training=data(own), lineage=lineage)
        path = tmp_path / "heart.safetensors"
        save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), card, path, force=True)
        options = ("--scale", 2, "-o", tmp_path / "out", "--force", "--device", "cpu")
        code, _, err = veriscale("restore", few, "--prior", path, *options)
        assert code == 0, err
        return [line for line in err.splitlines() if "commercial" in line]

    line = "prior heart is for non-commercial use alone: it comes from data under {}."
    assert said("CC BY-NC-SA 4.0") == [line.format("CC BY-NC-SA 4.0")]
    assert said("CC0", "CC BY", "for non-commercial research") == [line.format("for non-commercial research")]
    assert said("NonCommercial", "CC BY-NC") == [line.format("NonCommercial; CC BY-NC")]
    words = ("for research use only", "not for commercial use", "research only")
    assert said(*words) == [line.format("; ".join(words))]
    assert said("CC BY-SA 4.0 (ENCODE, INC.)", "once", "for commercial use, too") == []


def test_priors_shows_the_lineage_and_every_licence(veriscale, tiny, tmp_path, monkeypatch):
    import msgspec

    from veriscale.diffusion.card import Ancestor, Data
    from veriscale.diffusion.checkpoint import save_prior
    from veriscale.diffusion.prior import Networks

    def ancestor(name: str, licence: str) -> Ancestor:
        data = [Data("scans/*", 7, "1" * 64, licence)]
        return Ancestor(name, name[0] * 64, 1, [2, 4], data, {"encoder": 5, "denoiser": 6}, [], 120.0, {})

    lineage = [ancestor("brain", "CC BY"), ancestor("dogs", "CC BY-SA"), ancestor("cats", "CC BY")]
    card = msgspec.structs.replace(tiny.card, name="heart", lineage=lineage, mean=0.213)
    save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), card, tmp_path / "heart.safetensors")
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    code, out, _ = veriscale("priors")
    assert code == 0
    assert "heart: RGB, ×2, ×3, ×4; trained on CC0; CC BY; CC BY-SA; " in out
    rows = json.loads(veriscale("priors", "--json")[1])
    assert {r["name"]: r["licences"] for r in rows}["heart"] == ["CC0", "CC BY", "CC BY-SA"]
    code, out, _ = veriscale("priors", "heart")
    assert code == 0
    assert "  ancestor   1: brain (sha256 bbbbbbbbbbbb), grey, ×2, ×4; steps: encoder 5, denoiser 6; 2 minutes" in out
    assert out.index("1: brain") < out.index("scans/*: CC BY (sha256 111111111111)") < out.index("2: dogs")
    assert "  licences   of all data that it comes from: CC0; CC BY; CC BY-SA" in out
    assert "  pictures   photograph; the unconditional mode is about 0.213" in out


def test_priors_shows_who_was_seen_in_all_planes(veriscale, tiny, tmp_path):
    import msgspec

    from veriscale.diffusion.card import Data
    from veriscale.diffusion.checkpoint import save_prior
    from veriscale.diffusion.prior import Networks

    data = [Data("scans/*", 7, "1" * 64, "CC BY", planes=planes) for planes in ("", "all")]
    card = msgspec.structs.replace(tiny.card, name="heads", training=data)
    save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), card, tmp_path / "heads.safetensors")
    _, out, _ = veriscale("priors", tmp_path / "heads.safetensors")
    assert [line.split(maxsplit=2)[2] for line in out.splitlines() if "trained on" in line] == [
        "7 files, scans/*: CC BY (sha256 111111111111)",
        "7 files, scans/*, isotropic volumes in all planes: CC BY (sha256 111111111111)",
    ]


@pytest.mark.parametrize("name, scales", [("photo", [2, 3, 4]), ("mri", [2, 4])])
def test_a_shipped_prior_is_whole_small_and_measured_for_the_defaults(name, scales):
    from veriscale.diffusion.checkpoint import read_card
    from veriscale.diffusion.library import find_prior
    from veriscale.traversal.renoise import SAMPLER, STEPS

    path = find_prior(name)
    card = read_card(path)
    with safe_open(path, "np") as file:
        sizes = {k: file.get_tensor(k).nbytes for k in file.keys()}  # noqa: SIM118  # not a mapping
    assert sum(n for k, n in sizes.items() if not k.startswith("predictor.")) <= 10e6
    assert path.stat().st_size <= 11e6  # with the head for masks
    assert card.network.scales == scales
    assert card.network.predictor is not None
    for scale in card.network.scales:
        assert any((t.scale, t.sampler, t.steps) == (scale, SAMPLER, STEPS) for t in card.dial)
    assert all(m.variance for m in card.modes)


def test_the_shipped_prior_of_scans_has_seen_no_scan_that_judges_it():
    from veriscale.diffusion.checkpoint import read_card
    from veriscale.diffusion.library import find_prior
    from veriscale.imaging.normalisation import SCAN
    from veriscale.stages.splits import read_splits

    card, photo = (read_card(find_prior(name)) for name in ("mri", "photo"))
    assert card.normalisation == SCAN
    assert (card.lineage[0].name, card.lineage[0].sha256) == ("photo", photo.tensors_sha256)
    assert find_prior("mri").stat().st_size <= find_prior("photo").stat().st_size
    assert card.non_commercial == []
    splits = read_splits(RECIPES / "splits.toml")
    trained = {s for folder in ("mri/multicontrast", "mri/domain/brain_ms") for s in splits[folder]["train"]}
    assert len(trained) == 8
    assert not trained & {"ms19", "gli00001", "tcgadu7294", "msl04", "msl12"}
    assert card.training[-1].pattern == "mri/domain/brain_ms@train mri/multicontrast@train"


def test_degrade_of_a_folder(veriscale, skimage_data, tmp_path):
    photo = read_photo(skimage_data / "coffee.png")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_photo(photo.with_pixels(photo.pixels[:33, :46]), tmp_path / "in" / "deep" / "a.png")
    code, _, _ = veriscale("degrade", tmp_path / "in", "--operator", "downsample:factor=4", "-o", tmp_path / "out")
    assert code == 0
    assert read_photo(tmp_path / "out" / "deep" / "a.png").pixels.shape == (8, 11, 3)


def test_pack_and_train(veriscale, tmp_path, skimage_data, monkeypatch):
    from tests.stages.conftest import RECIPE

    monkeypatch.setenv("VERISCALE_DATA", str(skimage_data))
    (tmp_path / "toy.toml").write_text(RECIPE)
    assert veriscale("train", tmp_path / "toy.toml", "--pack", tmp_path / "toy.zip")[0] == 0
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    archive = tmp_path / "toy.zip"
    sets = [f"stage.toy.{k}={v}" for k, v in (("data", archive), ("validation", archive), ("encoder.steps", 2))]
    sets.append("stage.toy.denoiser.steps=2")
    options = [part for s in sets for part in ("--set", s)]
    code, out, err = veriscale("train", tmp_path / "toy.toml", "-o", tmp_path / "new" / "toy.safetensors", *options)
    assert code == 0, err
    assert out.strip().endswith("toy.safetensors")
    code, out, _ = veriscale("priors", tmp_path / "new" / "toy.safetensors")
    assert code == 0
    assert "phase      toy.encoder: 2 steps of 2 by muon\n" in out
    options += ["--set", "stage.toy.trainable=decoder", "--set", "stage.toy.evaluate=1", "--force"]
    options += ["--set", "stage.toy.encoder.optimiser=adam"]
    assert veriscale("train", tmp_path / "toy.toml", "-o", tmp_path / "new" / "toy.safetensors", *options)[0] == 0
    out = veriscale("priors", tmp_path / "new" / "toy.safetensors")[1]
    assert "phase      toy.denoiser: 2 steps of 2 by adam, decoder alone (76,124 parameters)" in out


def test_a_recipe_that_leaves_networks_untrained(veriscale, tmp_path, skimage_data, monkeypatch):
    from tests.stages.conftest import RECIPE

    monkeypatch.setenv("VERISCALE_DATA", str(skimage_data))
    recipe, prior = tmp_path / "toy.toml", tmp_path / "toy.safetensors"
    recipe.write_text(RECIPE.partition("[stage.denoiser]")[0].replace("steps = 60", "steps = 2"))
    code, out, err = veriscale("train", recipe, "-o", prior)
    assert (code, out) == (0, "")
    assert "no prior yet: no stage trains the denoiser and the predictor" in err
    assert not prior.exists()
    code, _, err = veriscale("train", recipe, "-o", prior, "--resume", "--set", "stage.toy.encoder.lr=5e-4")
    assert code == 2
    assert "stage.toy.encoder.lr was 0.001 and is 0.0005" in err
