"""A recipe that begins with a parent: what fits, what is refused, three generations, and a run that was cut off."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import write_tiny

import veriscale.stages.trainer as trainer
from veriscale.diffusion.checkpoint import load_checkpoint, read_card, save_prior
from veriscale.diffusion.prior import Networks
from veriscale.errors import InputError
from veriscale.imaging.normalisation import SCAN
from veriscale.stages import fitting, stage_sets, training
from veriscale.stages.data import load
from veriscale.stages.folding import folded
from veriscale.stages.held_out import measure_modes
from veriscale.stages.inheritance import read_givers, read_parent, untrained
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.state import read_facts
from veriscale.stages.training import train

CPU = torch.device("cpu")
FITTING = ["encoder.depth=2"]  # what makes the toy recipe fit the tiny prior


@pytest.fixture(scope="session")
def tiny_priors(tmp_path_factory) -> Path:
    """A folder with untrained priors, `rgb` and `grey`."""
    folder = tmp_path_factory.mktemp("parents")
    write_tiny(folder / "rgb.safetensors")
    write_tiny(folder / "grey.safetensors", channels=1)
    return folder


@pytest.fixture
def priors(tiny_priors, monkeypatch) -> Path:
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_priors))
    return tiny_priors


def parent_of(recipe: Path, *overrides: str, init_from: str = "rgb"):
    """The checked parent of the toy recipe, and the recipe."""
    document = read_recipe(recipe, [*FITTING, f"stage.toy.init_from='{init_from}'", *overrides])
    return read_parent(document, recipe), document


def test_a_parent_is_given_by_name_or_file(recipe, priors):
    for name in ("rgb", str(priors / "rgb.safetensors")):
        parent, document = parent_of(recipe, init_from=name)
        assert parent.card.name == "rgb"
        assert parent.brought(document) == ["encoder", "denoiser", "predictor"]
    assert read_parent(read_recipe(recipe), recipe) is None


@pytest.mark.parametrize(
    "override, words",
    [
        ("encoder.width=48", r"encoder\.width is 48 and that of the parent 'rgb' 32"),
        ("encoder.depth=3", r"encoder\.depth is 3 and that of the parent 'rgb' 2"),
        ("encoder.features=8", r"encoder\.features is 8 and that of the parent 'rgb' 4"),
        ("denoiser.width=[32, 64]", r"denoiser\.width is \[32, 64\] and that of the parent 'rgb' \[32, 32\]"),
        ("denoiser.depth=[2, 1]", r"denoiser\.depth is \[2, 1\] and that of the parent 'rgb' \[1, 1\]"),
        ("denoiser.stem=1", r"denoiser\.stem is 1 and that of the parent 'rgb' 2"),
        ("predictor.depth=2", r"predictor\.depth is 2 and that of the parent 'rgb' 1"),
    ],
)
@pytest.mark.usefixtures("priors")
def test_what_does_not_fit_is_refused_by_name(recipe, override, words):
    with pytest.raises(InputError, match=words):
        parent_of(recipe, override)


@pytest.mark.usefixtures("priors")
def test_grey_does_not_become_rgb(recipe):
    with pytest.raises(InputError, match=r"task\.channels is 3 and that of the parent 'grey' 1; RGB can be folded"):
        parent_of(recipe, init_from="grey")
    assert parent_of(recipe, "task.channels=1", init_from="grey")[0].card.network.channels == 1


EIGHT = 'task.operators=["downsample:factor=8", "downsample:factor=4"]'


@pytest.mark.usefixtures("priors")
def test_a_scale_that_the_parent_lacks_needs_steps(recipe):
    parent, document = parent_of(recipe, EIGHT)
    assert untrained(document, parent) == []
    with pytest.raises(InputError, match=r"does not know ×8, .* give stage\.toy\.encoder steps, or leave ×8 out"):
        parent_of(recipe, EIGHT, "stage.toy.encoder.steps=0")
    parent, document = parent_of(recipe, EIGHT, "stage.toy.denoiser.steps=0")
    assert untrained(document, parent) == ["denoiser"]


@pytest.mark.usefixtures("priors")
def test_what_a_parent_brings_needs_no_steps(recipe, tmp_path):
    none = ["stage.toy.encoder.steps=0", "stage.toy.denoiser.steps=0"]
    with pytest.raises(InputError, match="comes before any steps of the encoder and the denoiser"):
        read_recipe(recipe, none)
    parent, document = parent_of(recipe, *none)
    assert untrained(document, parent) == []
    assert untrained(document, None) == ["encoder", "denoiser"]
    parent, document = parent_of(recipe, *none[:1], "stage.toy.predictor.steps=0")
    assert untrained(document, parent) == []
    plain = without_predictor(tmp_path)
    parent, document = parent_of(recipe, *none[:1], "stage.toy.predictor.steps=0", init_from=str(plain))
    assert untrained(document, parent) == ["predictor"]
    assert parent.brought(document) == ["encoder", "denoiser"]


def without_predictor(folder: Path, **changes) -> Path:
    """A tiny prior that predicts no error, with changes of its card."""
    prior = load_checkpoint(write_tiny(folder / "plain.safetensors"), CPU, torch.float32)
    network = msgspec.structs.replace(prior.card.network, predictor=None)
    card = msgspec.structs.replace(prior.card, network=network, **changes)
    save_prior(Networks(prior.encoder, prior.denoiser, None), card, folder / "plain.safetensors", force=True)
    return folder / "plain.safetensors"


def test_what_cannot_be_a_parent_is_said_in_a_sentence(recipe, priors, tmp_path):
    def refused(name: object) -> str:
        with pytest.raises(InputError) as caught:
            parent_of(recipe, init_from=str(name))
        assert str(caught.value).startswith(f"Recipe {recipe}: ")
        return str(caught.value)

    assert "No prior is called 'rgbb'; did you mean 'rgb'" in refused("rgbb")
    assert "does not exist" in refused(tmp_path / "none.safetensors")
    assert "stage.toy.init_from is 'lab.networks:prior', somebody's own denoiser" in refused("lab.networks:prior")
    save_file({"weight": torch.zeros(2)}, tmp_path / "own.safetensors")
    assert "holds tensors but no card" in refused(tmp_path / "own.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((priors / "rgb.safetensors").read_bytes()[:3000])
    assert "truncated or damaged" in refused(tmp_path / "cut.safetensors")
    other = without_predictor(tmp_path, normalisation="scan: percentiles 1 and 99, headroom 1")
    assert "were taken as 'scan: percentiles 1 and 99, headroom 1', and this version takes them as" in refused(other)
    modes = load_checkpoint(priors / "rgb.safetensors", CPU, torch.float32).card.modes
    quiet = [msgspec.structs.replace(mode, noise_std=[noise / 2 for noise in mode.noise_std]) for mode in modes]
    known = refused(without_predictor(tmp_path, modes=quiet))
    assert "task.noise reaches 0.05, and the parent 'plain' knows noise up to 0.025; a child has the" in known


@pytest.mark.usefixtures("priors", "unmeasured")
def test_damaged_tensors_of_a_parent_are_refused(recipe, priors, tmp_path):
    content = bytearray((priors / "rgb.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(content)
    sets = [*FITTING, f"stage.toy.init_from={tmp_path / 'damaged.safetensors'}"]
    with pytest.raises(InputError, match="its tensors are not those its card speaks of"):
        train(recipe, tmp_path / "toy.safetensors", cpu=True, overrides=sets)
    assert not list(tmp_path.glob("toy*.safetensors"))


def test_the_first_stage_alone_has_a_parent(recipe):
    second = recipe.read_text()[recipe.read_text().index("[[stage]]") :].replace('name = "toy"', 'name = "again"')
    recipe.write_text(recipe.read_text() + second)
    with pytest.raises(InputError, match=r"stage\.again\.init_from: the first stage alone has a parent"):
        read_recipe(recipe, ["stage.again.init_from=photo"])


@pytest.mark.parametrize("licence", ["", " "])
def test_a_licence_is_required(recipe, licence):
    with pytest.raises(InputError, match=r"stage\.toy\.licence is missing; the licence of the training data binds"):
        read_recipe(recipe, [f"stage.toy.licence='{licence}'"])
    recipe.write_text(recipe.read_text().replace('licence = "CC0"\n', ""))
    with pytest.raises(InputError, match=r"stage\.toy\.licence is missing"):
        read_recipe(recipe)


@pytest.fixture
def unmeasured(monkeypatch):
    """In one thread, without what is measured at the end."""
    monkeypatch.setattr(training, "measured", lambda prior, validation, tell: prior.card)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def of_scans(monkeypatch):
    """`coffee.png` and `camera.png` are taken for scans."""

    def loaded(patterns, *rest):
        found = load(patterns, *rest)
        scans = patterns[0] in ("coffee.png", "camera.png")
        return replace(found, normalisation=SCAN, volumes=found.names) if scans else found

    monkeypatch.setattr(stage_sets, "load", loaded)


SMALL = [f"stage.toy.{network}.steps=2" for network in ("encoder", "denoiser", "predictor")]
DENOISER = [SMALL[1], "stage.toy.encoder.steps=0", "stage.toy.predictor.steps=0"]
COFFEE = ["stage.toy.data=coffee.png", "stage.toy.validation=camera.png", "task.channels=1"]


@pytest.mark.usefixtures("unmeasured", "of_scans")
def test_three_generations(recipe, tmp_path, skimage_data, monkeypatch):
    """Photographs in RGB, scans in grey, and a grandchild of one scale: card, lineage and licences as stated."""
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    photo = train(recipe, tmp_path / "first.safetensors", cpu=True, overrides=SMALL)
    inherited = [*COFFEE, *DENOISER, "stage.toy.init_from=first", "stage.toy.licence=CC BY 4.0"]
    scans = train(recipe, tmp_path / "second.safetensors", cpu=True, overrides=inherited)
    last = [*COFFEE, *SMALL[:1], *DENOISER[:1], "stage.toy.init_from=second", "stage.toy.licence=CC BY-NC-SA 4.0"]
    last += ['task.operators=["downsample:factor=4"]', "stage.toy.predictor.steps=0"]
    third = train(recipe, tmp_path / "third.safetensors", cpu=True, overrides=last)

    cards = [read_card(path) for path in (photo, scans, third)]
    assert [[a.name for a in c.lineage] for c in cards] == [[], ["first"], ["second", "first"]]
    assert [a.sha256 for a in cards[2].lineage] == [cards[1].tensors_sha256, cards[0].tensors_sha256]
    assert cards[2].lineage[1] == cards[1].lineage[0]
    assert [(a.channels, a.scales) for a in cards[2].lineage] == [(1, [2, 4]), (3, [2, 4])]
    for ancestor, card in zip(cards[2].lineage, cards[1::-1], strict=True):
        budget = card.budget
        assert (ancestor.training, ancestor.metrics) == (card.training, card.metrics)
        assert (ancestor.phases, ancestor.seconds) == (budget.phases, budget.seconds)
        steps = {"encoder": budget.encoder_steps, "denoiser": budget.denoiser_steps}
        assert ancestor.steps == {**steps, "predictor": budget.predictor_steps}
    assert [c.budget.encoder_steps for c in cards] == [2, 0, 2]
    assert [c.licences for c in cards] == [
        ["CC0"],
        ["CC BY 4.0", "CC0"],
        ["CC BY-NC-SA 4.0", "CC BY 4.0", "CC0"],
    ]
    assert [d.files for d in cards[2].seen] == [1, 1, 2]
    assert [c.normalisation for c in cards] == ["photograph", SCAN, SCAN]
    assert [c.network.scales for c in cards] == [[2, 4], [2, 4], [4]]
    for part in ("encoder", "denoiser", "predictor"):  # it is whole, and can be used
        assert getattr(load_checkpoint(third, CPU, torch.float32), part) is not None

    coffee = load(["coffee.png"], skimage_data, 1, CPU, "", "training").images[0].double() / 255
    camera = load(["camera.png"], skimage_data, 1, CPU, "", "validation").images[0].double() / 255
    assert cards[0].mean == 0.5
    assert cards[1].mean == cards[2].mean == pytest.approx(float(coffee.mean()), abs=1e-9)
    spread = float((camera - cards[1].mean).square().mean().sqrt())
    assert cards[1].modes[0].sigma_data[0] == pytest.approx(spread, rel=1e-5)

    given, kept = (load_file(path) for path in (photo, scans))
    for key, value in kept.items():  # the encoder and the predictor are taken as they were, folded; features learn
        if not key.startswith("denoiser") and ".features." not in key:
            assert torch.equal(value, folded(key, given[key].float(), 2).half()), key
    assert not torch.equal(kept["denoiser.grow.0.weight"], given["denoiser.grow.0.weight"])

    photographs = ["task.channels=1", *DENOISER, "stage.toy.init_from=second"]
    with pytest.raises(InputError, match="'toy' trains on photographs, and its parent 'second' is of scans"):
        train(recipe, tmp_path / "fourth.safetensors", cpu=True, overrides=photographs)
    with pytest.raises(InputError, match="would replace its own parent"):
        train(recipe, photo, cpu=True, force=True, overrides=["stage.toy.init_from=first"])


AGAIN = """
[[stage]]
name = "again"
data = ["chelsea.png"]
validation = ["astronaut.png"]
licence = "CC0"
[stage.denoiser]
steps = 2
batch = 2
patch = 16
"""


@pytest.mark.usefixtures("unmeasured", "of_scans")
def test_stages_do_not_go_from_scans_to_photographs(recipe, tmp_path):
    recipe.write_text(recipe.read_text() + AGAIN)
    with pytest.raises(InputError, match="Stage 'again' trains on photographs, and stage 'toy' before it is of scans"):
        train(recipe, tmp_path / "toy.safetensors", cpu=True, overrides=[*COFFEE, *SMALL])


@pytest.mark.parametrize(
    "again, measured",
    [
        (["stage.again.data=['chelsea.png', 'coffee.png']"], 1),  # the same pictures: kept
        ([], 2),  # other training pictures
        (["stage.again.data=['chelsea.png', 'coffee.png']", "stage.again.validation=rocket.jpg"], 2),
    ],
)
@pytest.mark.usefixtures("unmeasured", "priors")
def test_statistics_are_measured_where_a_stage_has_other_pictures(recipe, tmp_path, monkeypatch, again, measured):
    """With a parent and no step of the encoder: once before the denoiser, and again as a stage begins."""
    recipe.write_text(recipe.read_text() + AGAIN)
    seen = []

    def counted(encoder, photographs, mean):
        seen.append(photographs.names)
        return measure_modes(encoder, photographs, mean)

    monkeypatch.setattr(fitting, "measure_modes", counted)
    sets = [*FITTING, *DENOISER, "stage.toy.init_from=rgb", *again]
    train(recipe, tmp_path / "toy.safetensors", cpu=True, overrides=sets)
    assert len(seen) == measured
    assert seen[-1] == (["rocket.jpg"] if len(again) == 2 else ["astronaut.png"])


class CutOffError(Exception):
    """Instead of a kill."""


@pytest.mark.usefixtures("unmeasured", "priors")
def test_a_child_goes_on_without_its_parent_s_tensors(recipe, tmp_path, monkeypatch):
    """A run that was cut off ends with the same bits; only the card of the parent is read again."""
    sets = [*FITTING, "task.channels=1", "stage.toy.encoder.steps=0", "stage.toy.init_from=rgb"]
    sets += ["stage.toy.denoiser.steps=60", "stage.toy.predictor.steps=0"]
    whole = read_card(train(recipe, tmp_path / "whole.safetensors", cpu=True, overrides=sets))
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    monkeypatch.setattr("veriscale.stages.curves.Curves._draw", lambda self, path: None)

    def cut(phase, step, steps, loss, held_out):
        raise CutOffError

    path = tmp_path / "cut.safetensors"
    with pytest.raises(CutOffError):
        train(recipe, path, cpu=True, overrides=sets, progress=cut)
    state = path.with_suffix(".training.safetensors")
    facts = read_facts(state)
    assert facts["step"] == 49
    assert facts["recipe"]["init_from"] == whole.lineage[0].sha256
    before = state.read_bytes()
    for init_from, words in (
        ("grey", r"the parent \(init_from\) was one of sha256 \w{12} and is 'grey' of sha256 \w{12}; "),
        (None, r"the parent \(init_from\) was one of sha256 \w{12} and is none; "),
    ):
        others = [s for s in sets if "init_from" not in s]
        others += [f"stage.toy.init_from={init_from}"] if init_from else ["stage.toy.encoder.steps=2"]
        with pytest.raises(InputError, match=words):
            train(recipe, path, cpu=True, resume=True, overrides=others)
    assert state.read_bytes() == before
    monkeypatch.setattr(fitting, "inherit", None)
    assert read_card(train(recipe, path, cpu=True, resume=True, overrides=sets)) == msgspec.structs.replace(
        whole, name="cut", budget=read_card(path).budget
    )


@pytest.mark.usefixtures("unmeasured", "priors")
def test_a_state_without_a_parent_gets_none(recipe, tmp_path):
    path = tmp_path / "toy.safetensors"
    train(recipe, path, cpu=True, overrides=[*FITTING, *SMALL])
    with pytest.raises(InputError, match=r"the parent \(init_from\) was none and is 'rgb' of sha256"):
        train(recipe, path, cpu=True, resume=True, force=True, overrides=[*FITTING, *SMALL, "stage.toy.init_from=rgb"])


@pytest.mark.usefixtures("unmeasured", "priors")
def test_a_predictor_that_was_left_out_is_not_taken_later(recipe, tmp_path):
    path, sets = tmp_path / "toy.safetensors", [*FITTING, *DENOISER, "stage.toy.init_from=rgb"]
    text = recipe.read_text()
    recipe.write_text(text.replace("[predictor]\nwidth = 32\ndepth = 1\n", ""))
    assert read_card(train(recipe, path, cpu=True, overrides=sets)).network.predictor is None
    recipe.write_text(text)
    with pytest.raises(InputError, match=r"its parent gave it encoder, denoiser, and would give it .*, predictor"):
        train(recipe, path, cpu=True, resume=True, force=True, overrides=sets)


def tensors_of(path: Path, part: str) -> dict[str, torch.Tensor]:
    prior = load_checkpoint(path, CPU, torch.float32)
    return Networks(prior.encoder, prior.denoiser, prior.predictor).parts()[part].state_dict()


@pytest.mark.usefixtures("unmeasured", "priors")
def test_a_phase_begins_with_the_network_of_another_prior(recipe, tmp_path, tiny_priors):
    """The encoder of the parent, the denoiser of the giver, also where the phase comes after a cut; both are told."""
    other = load_checkpoint(tiny_priors / "rgb.safetensors", CPU, torch.float32)
    parts = Networks(other.encoder, other.denoiser, other.predictor)
    for p in (p for part in parts.parts().values() for p in part.parameters()):
        p.data += 0.01
    giver = tmp_path / "giver.safetensors"
    save_prior(parts, msgspec.structs.replace(other.card, name="giver"), giver)
    still = [f"stage.toy.{n}.lr=1e-12" for n in ("encoder", "denoiser", "predictor")]  # steps that change nothing
    sets = [*FITTING, *SMALL, *still, "stage.toy.init_from=rgb"]
    given = [*sets, f"stage.toy.denoiser.init_from={giver}"]
    whole = train(recipe, tmp_path / "whole.safetensors", cpu=True, overrides=given)
    for part, source in (("encoder", "rgb"), ("denoiser", "giver"), ("predictor", "rgb")):
        wanted = tensors_of(giver if source == "giver" else tiny_priors / "rgb.safetensors", part)
        for name, found in tensors_of(whole, part).items():
            if name == "embedding.mode.weight":  # has a row for each scale, and the recipe knows fewer
                continue
            torch.testing.assert_close(found, wanted[name], atol=1e-3, rtol=0, msg=f"{part} {name}")
    assert [a.name for a in read_card(whole).lineage] == ["rgb", "giver"]

    path = tmp_path / "cut.safetensors"
    state = path.with_suffix(".training.safetensors")
    first = [*sets, "stage.toy.denoiser.steps=0", "stage.toy.predictor.steps=0"]
    train(recipe, path, cpu=True, overrides=first)
    train(recipe, path, cpu=True, resume=True, force=True, overrides=given)
    for part in ("encoder", "denoiser", "predictor"):
        wanted = tensors_of(whole, part)
        assert all(torch.equal(found, wanted[name]) for name, found in tensors_of(path, part).items())
    before = state.read_bytes()
    with pytest.raises(InputError, match=r"stage\.toy\.denoiser\.init_from was \w{64} and is not set"):
        train(recipe, path, cpu=True, resume=True, force=True, overrides=sets)
    assert state.read_bytes() == before
    with pytest.raises(InputError, match="would replace its own parent"):
        train(recipe, giver, cpu=True, force=True, overrides=given)


@pytest.mark.usefixtures("priors")
def test_what_cannot_give_a_network_is_said(recipe, tmp_path):
    plain = without_predictor(tmp_path)
    for override, words in (
        (f"stage.toy.predictor.init_from={plain}", r"stage\.toy\.predictor\.init_from: 'plain' has no predictor"),
        ("stage.toy.denoiser.init_from=grey", r"task\.channels is 3 and that of the parent 'grey' 1"),
        ("stage.toy.denoiser.init_from=nobody", r"stage\.toy\.denoiser\.init_from is 'nobody', which cannot be a par"),
    ):
        with pytest.raises(InputError, match=words):
            read_givers(read_recipe(recipe, [*FITTING, override]), recipe)
    with pytest.raises(InputError, match=r"denoiser\.init_from is for a network of a prior that the stage trains"):
        read_recipe(
            recipe, ["stage.toy.init_from=rgb", "stage.toy.denoiser.steps=0", "stage.toy.denoiser.init_from=rgb"]
        )
