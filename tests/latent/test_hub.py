import shutil
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.latent.hub import hub_folder
from veriscale.latent.pipeline import Pipeline, prior_from_pipeline


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """A store of the hub's library that is empty, and no way to the hub."""
    pytest.importorskip("diffusers", reason="diffusers, of the extra `latent`, is not installed")
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def used(folder):
    return Pipeline(folder).used


@pytest.mark.parametrize("name", ["hub:", "hub:owner", "hub:owner/name@", "hub:a/b/c"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="names no model of the hub; it is hub:owner/name or hub:owner/name@revision"):
        hub_folder(name, used)


def test_what_is_not_in_the_store_is_not_fetched_where_that_is_forbidden():
    with pytest.raises(
        InputError, match=r"The model owner/name cannot be had from the hub .*; copy it to a folder"
    ) as no:
        prior_from_pipeline("hub:owner/name", device="cpu", local_files_only=True)
    assert "\n" not in str(no.value)


def test_a_hub_that_cannot_be_reached_says_so(monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise ConnectionError("no route to host\nand a second line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(InputError, match=r"cannot be had from the hub \(no route to host\); copy it to a folder"):
        hub_folder("hub:owner/name@v1", used)


def test_a_model_of_the_store_is_loaded_by_name_and_revision(models, hub):
    store = hub / "models--owner--small"
    shutil.copytree(models / "ldm", store / "snapshots" / ("a" * 40))
    (store / "refs").mkdir()
    (store / "refs" / "v1").write_text("a" * 40)
    prior = prior_from_pipeline("hub:owner/small@v1", device="cpu", local_files_only=True)
    assert prior.card.name == "small"
    assert Path(prior.folder.path).name == "a" * 40
    with pytest.raises(InputError, match="cannot be had from the hub"):
        prior_from_pipeline("hub:owner/small@v2", device="cpu", local_files_only=True)


@pytest.fixture
def stored(models, hub, monkeypatch):
    """A model of the hub's store, fetched when there was a way there."""
    import huggingface_hub

    store = hub / "models--owner--small"
    whole = store / "snapshots" / ("a" * 40)
    shutil.copytree(models / "ldm", whole)

    def unreachable(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(whole))
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", unreachable)
    return whole


def test_a_whole_model_of_the_store_needs_no_way_to_the_hub(stored):
    assert hub_folder("hub:owner/small", used) == stored
    with pytest.raises(InputError, match=r"cannot be had from the hub \(no route to host\)"):
        hub_folder("hub:owner/small", used, variant="fp16")
    next((stored / "unet").glob("*.safetensors")).unlink()
    with pytest.raises(InputError, match=r"cannot be had from the hub \(no route to host\)"):
        hub_folder("hub:owner/small", used)


def test_weights_are_of_the_commit_of_the_configurations(stored, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **at: asked.append(at["revision"]) or str(stored)
    )
    monkeypatch.setattr(
        huggingface_hub.HfApi, "list_repo_files", lambda self, name, revision: asked.append(revision) or []
    )
    hub_folder("hub:owner/small@main", used)
    assert asked == ["main", "a" * 40, "a" * 40]


def test_weights_of_one_variant_are_fetched(models, hub, monkeypatch):
    import huggingface_hub

    there = [
        f"{part}/diffusion_pytorch_model{mark}.safetensors" for part in ("unet", "vqvae") for mark in ("", ".fp16")
    ]
    asked = []

    def fetched(name, **at):
        asked.append(at)
        return str(models / "ldm")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "list_repo_files",
        lambda self, name, revision: [*there, "big.safetensors", "safety_checker/model.safetensors"],
    )
    hub_folder("hub:owner/name@v1", used, variant="fp16")
    assert asked[0]["revision"] == "v1"
    assert {f for f in asked[1]["allow_patterns"] if f.endswith("safetensors")} == {f for f in there if "fp16" in f}
    with pytest.raises(InputError, match=r"The .* of owner/name has no variant 'int8' on the hub; choose another"):
        hub_folder("hub:owner/name", used, variant="int8")
    del asked[2]
    hub_folder("hub:owner/name", used)
    assert {f for f in asked[3]["allow_patterns"] if f.endswith("safetensors")} == {f for f in there if "fp16" not in f}
