import random
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.stages import anchor_rule, consistency, held_out, measurements, recipe_rules
from veriscale.stages.recipe_file import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
PHOTO = RECIPES / "photo.toml"


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_valid(path):
    if path == RECIPES / "target.toml":  # a user's folder and its licence are to be given
        own = ["stage.target.data=scans", "stage.target.licence=CC0"]
        for given, missing in ((own[:1], "licence is missing"), (own[1:], "data is empty; name pictures or scans")):
            with pytest.raises(InputError, match=rf"stage\.target\.{missing}"):
                read_recipe(path, given)
        assert read_recipe(path, own).untrained == []
    elif path.name != "splits.toml":
        recipe = read_recipe(path)
        parent = recipe.stage[0].init_from is not None
        assert parent or recipe.guides is not None or recipe.latent or recipe.untrained in ([], ["predictor"])


def test_the_shipped_recipe_is_valid():
    recipe = read_recipe(PHOTO)
    assert recipe.task.scales == [2, 3, 4]
    assert recipe.stage[0].data == ["natural/train/[!0-9]*", "natural/more/*"]


@pytest.mark.parametrize("first, whole", [("mri_source.toml", "mri.toml"), ("study/source.toml", "study/domain.toml")])
def test_what_goes_on_from_another_recipe_begins_as_it_does(first, whole):
    alone, grown = (read_recipe(RECIPES / name) for name in (first, whole))
    assert alone.stage == grown.stage[:1]
    for kept in ("task", "encoder", "denoiser", "predictor", "seed", "precision"):
        assert getattr(alone, kept) == getattr(grown, kept)


def test_a_predictor_is_a_choice(recipe):
    without = recipe.read_text().partition("[stage.predictor]")[0]
    without = without.replace("[predictor]\nwidth = 32\ndepth = 1\n", "")
    recipe.write_text(without)
    assert read_recipe(recipe).predictor is None
    assert list(read_recipe(recipe).stage[0].phases()) == ["encoder", "denoiser"]
    with pytest.raises(InputError, match=r"stage\.toy\.predictor needs a \[predictor\] table"):
        read_recipe(recipe, ["stage.toy.predictor.steps=5"])


def test_values_can_be_set(recipe):
    changed = ["seed=5", "stage.toy.encoder.ema=0.9", "stage.toy.data=here", "stage.toy.denoiser.steps=0"]
    read = read_recipe(recipe, changed[:3])
    assert (read.seed, read.stage[0].encoder.ema, read.stage[0].data) == (5, 0.9, ["here"])
    with pytest.raises(InputError, match="predictor comes before any steps of the denoiser"):
        read_recipe(recipe, changed)


@pytest.mark.parametrize("folder", ["2024", "true", "1.5", "2024-05-01"])
def test_a_folder_may_be_called_as_numbers_are_written(recipe, folder):
    assert read_recipe(recipe, [f"stage.toy.data={folder}"]).stage[0].data == [folder]


def test_each_way_of_training_has_a_rate_of_its_own(recipe):
    adam = "stage.toy.encoder.optimiser=adam"
    for trainable, rate in (("all", 1e-3), ("decoder", 1e-3), ("norm+bias", 2e-3), ("lora:4", 1e-2)):
        stage = read_recipe(recipe, [adam, f"stage.toy.trainable={trainable}"]).stage[0]
        assert [stage.rate(n) for n in ("encoder", "denoiser", "predictor")] == [rate] * 3
    muon = [adam, "stage.toy.denoiser.optimiser=muon", "stage.toy.trainable=decoder"]
    assert read_recipe(recipe, muon).stage[0].rate("denoiser") == 1e-3
    given = read_recipe(recipe, [adam, "stage.toy.trainable=lora:4", "stage.toy.encoder.lr=5e-4"]).stage[0]
    assert (given.rate("encoder"), given.rate("denoiser")) == (5e-4, 1e-2)


def test_a_key_can_be_taken_out(recipe):
    recipe.write_text(recipe.read_text().replace('licence = "CC0"', 'licence = "CC0"\ninit_from = "photo"'))
    assert read_recipe(recipe).stage[0].init_from == "photo"
    assert read_recipe(recipe, ["stage.toy.init_from="]).stage[0].init_from is None
    assert read_recipe(recipe, ["stage.toy.init_from=", "stage.toy.subjects="]).stage[0].subjects is None  # not there
    with pytest.raises(InputError, match=r"stage\.toy\.licence is missing"):
        read_recipe(recipe, ["stage.toy.licence="])


SECOND = """
[[stage]]
name = "again"
data = ["coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
[stage.denoiser]
steps = 5
unconditional = 1.0
"""


def test_stages_follow_one_another(recipe):
    recipe.write_text(recipe.read_text() + SECOND)
    read = read_recipe(recipe)
    assert [list(s.phases()) for s in read.stage] == [["encoder", "denoiser", "predictor"], ["denoiser"]]
    assert read.untrained == []
    assert read.stage[1].denoiser.unconditional == 1
    assert read_recipe(recipe, ["stage.again.denoiser.steps=7"]).stage[1].denoiser.steps == 7
    with pytest.raises(InputError, match="names of their own"):
        read_recipe(recipe, ["stage.again.name=toy"])
    with pytest.raises(InputError, match="'again' trains nothing"):
        read_recipe(recipe, ["stage.again.denoiser.steps=0"])


@pytest.mark.parametrize(
    "override, words",
    [
        ("stage.toy.encoder.steps=-1", "0 or more"),
        ("stage.toy.encoder.steps=0", "denoiser comes before any steps of the encoder"),
        ("stage.toy.denoiser.patch=18", "multiple of"),
        ("stage.toy.encoder.ema=1.0", "below 1"),
        ("stage.toy.encoder.optimiser=sgd", "sgd"),
        ("stage.toy.encoder.schedule=linear", "linear"),
        ("stage.toy.denoiser.adam_lr=1e-3", "goes with optimiser = 'muon'"),
        ("stage.toy.encoder.adam_lr=0.0", "adam_lr must be positive"),
        ("stage.toy.denoiser.unconditional=1.5", "within 0 and 1"),
        ("stage.toy.encoder.unconditional=0.5", "unknown key 'unconditional' in stage.toy.encoder"),
        ("stage.toy.encoder_steps=5", "unknown key 'encoder_steps' in stage.toy; did you mean 'encoder'"),
        ("stage.toy.denoiser.bacth=5", "did you mean 'batch'"),
        ("stage.toy.clip=0.0", "clip must be positive"),
        ("stage.toy.evaluate=-1", "evaluate must be 0 or more"),
        ("stage.toy.patience=-1", "patience must be 0 or more"),
        ("stage.toy.patience=3", "patience is 3 evaluations, and evaluate is 0; set it to a number of steps"),
        ("stage.toy.hold_out=-1", "hold_out must be 0 or more"),
        ("stage.toy.hold_out=2", "stage.toy has validation and hold_out, which both say who is held out"),
        ("stage.toy.trainable=encoder", "'encoder' is not known; known: all, decoder, norm.bias, lora:R"),
        ("stage.toy.trainable=lora:0", "'lora:0' is not known; .* whole number R of at least 1"),
        ("stage.toy.trainable=lora", "'lora' is not known"),
        ("stage.toy.trainable=lora:4", r"encoder.optimiser 'muon' works .* trainable = 'lora:4' leaves none whole"),
        ("stage.toy.trainable=norm+bias", r"'norm\+bias' leaves none whole in the encoder; take 'adam'"),
        ("stage.toy.trainable=decoder", r"'decoder' leaves none whole in the encoder; take 'adam'"),
        ("stage.toy.evaluate=61", "evaluate is 61, and its longest phase takes 60 steps: .* at most 60"),
        ("precision=fp16", "precision is 'fp16'; .*known: auto, float32, bf16"),
        ("measure=none", "measure is 'none'; .*known: all, modes"),
        ("stage.toy.encoder.schedule=cosin", "stage.toy.encoder.schedule is 'cosin'; did you mean 'cosine'"),
        ("stage.toy.encoder.steps=ten", "stage.toy.encoder.steps should be a whole number, and is a text"),
        ("stage.toy.data=[3]", r"stage\.toy\.data\[0\] should be a text, and is a whole number"),
        ("stage.toy.data=''", "stage.toy.data is empty; name pictures"),
        ("stage.toy.subjects=0", "stage.toy.subjects is 0; leave it out to train on all"),
        ("stage.toy.encoder.lr=inf", "encoder.lr must be positive and finite"),
        ("task.weights=[1, inf]", "weights must be positive and finite"),
        ("seed=-1", r"seed is -1; take a whole number from 0"),
        ("seed=99999999999999999999", r"seed is 99999999999999999999; take"),
        ("task.noise=[0.2, 0.1]", "noise must be"),
        ("task.noise=[0.0, 0.06]", "noise reaches 0.06, and a prior's card knows noise up to 0.05; take at most that"),
        ("task.channels=2", "channels is 2"),
        ('task.operators=["blur:std=3"]', "cannot be trained for"),
        (
            "denoiser.stem=3",
            r"denoiser\.stem 3 and 2 levels make a stride of 6, which has to divide 32; take a stem of 1",
        ),
        ("denoiser.stem=0", "make a stride of 0"),
        ("denoiser.depth=[1]", "one number for each level"),
        ("task.unconditional=lots", "unconditional"),
        ("seed.deep=3", "not a table"),
        ("stage.toy.name=''", "a stage is called ''"),
        ("stage.toy.name=' '", "a stage is called ' '"),
        ("stage.toy.name='a.b'", r"a stage is called 'a\.b', by which its keys cannot be set; take a name without"),
        ("stage.toy.name='a=b'", "a stage is called 'a=b'"),
        ("stage.ema=0.5", "name the stage"),
        ("stage=[]", "no .*stage"),
        ("stage.toy.predictor.patch=0", "predictor.patch must be positive"),
        ("stage.toy.predictor.lr=0", "predictor.lr must be positive"),
        ("predictor.width=0", "sizes of networks must be positive"),
        ("predictor.widht=64", "did you mean 'width'"),
    ],
)
def test_values_out_of_range_are_named(recipe, override, words):
    with pytest.raises(InputError, match=words):
        read_recipe(recipe, [override])


def test_who_is_held_out_is_named_or_drawn(recipe):
    drawn = ["stage.toy.validation=[]", "stage.toy.hold_out=2"]
    assert read_recipe(recipe, drawn).stage[0].hold_out == 2
    with pytest.raises(InputError, match=r"validation is empty; name held-out .*, or set `hold_out` to a number"):
        read_recipe(recipe, drawn[:1])
    with pytest.raises(InputError, match=r"hold_out sets files aside, and its data are an archive; name the archive"):
        read_recipe(recipe, [*drawn, "stage.toy.data=data.zip"])


@pytest.mark.parametrize(
    "line, words",
    [
        ('data = ["chelsea.png", "coffee.png"]', r"stage\.toy\.data is empty; name pictures or scans to train on"),
        ('validation = ["astronaut.png"]', r"stage\.toy\.validation is empty; name held-out"),
        ('name = "toy"\ndata', r"stage\.name is missing; write it"),
        ('operators = ["downsample:factor=2", "downsample:factor=4"]', r"task\.operators is missing; write it"),
    ],
)
def test_keys_that_are_missing_are_named(recipe, line, words):
    recipe.write_text(recipe.read_text().replace(line, "data" if line.endswith("\ndata") else ""))
    with pytest.raises(InputError, match=words):
        read_recipe(recipe)


def test_crops_of_all_measurements_suit_every_stride_that_is_taken():
    for side in (held_out.CROP, measurements.DIAL_CROP, consistency.CROP, anchor_rule.SIDE):
        assert side % recipe_rules.CROPS == 0


def test_mutated_recipes_are_read_or_refused(tmp_path):
    content = PHOTO.read_bytes()
    path = tmp_path / "mutated.toml"
    refused = 0
    for seed in range(300):
        rng = random.Random(seed)
        data = bytearray(content)
        for _ in range(rng.choice((1, 3, 10))):
            at = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                data[at:at] = rng.randbytes(3)
            else:
                del data[at : at + 5]
        path.write_bytes(data)
        try:
            read_recipe(path)
        except InputError:
            refused += 1
    assert refused > 100
