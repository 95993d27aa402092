"""Whoever restores as the settings say: a prior, or a tool under its certificate."""

import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.conftest import RESIZE

import veriscale
from veriscale.diffusion.checkpoint import save_prior
from veriscale.diffusion.prior import Networks
from veriscale.errors import InputError
from veriscale.settings import Settings, settled
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.certifying.certified_settings import certified_settings
from veriscale.workflows.opening import certified_prior, known_certificates, open_restorer
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.tools.tool_restorer import ToolRestorer


@pytest.fixture
def certificate(tiny, few, output):
    return calibrate(few, output, prior=tiny, dial=1, sampler="heun", steps=2)


@pytest.fixture
def tools(few, tmp_path, tool):
    """A tool's command and its certificate."""
    command = tool(RESIZE)
    return command, calibrate(few, tmp_path / "tool.json", command=command, scale=4, score="gradient")


def test_a_prior_by_its_file_restores_as_asked(tiny_file, tiny, cat):
    settings = settled(Settings(prior=str(tiny_file), scale=2, crop="0,0,16,12"))
    restorer = veriscale.open_restorer(settings, device="cpu")
    assert isinstance(restorer, PriorRestorer)
    assert restorer.prior.card.tensors_sha256 == tiny.card.tensors_sha256
    work = restorer.prepare(cat)
    assert (work.suffix, work.dials, work.samples) == ("x2", (0,), 0)
    assert work.lines()[0].startswith("The picture: 16×12 to 32×24, downsample:factor=2,kernel=bicubic, prior tiny")
    assert "0 evaluations of the denoiser" in work.costs()[0]
    result = work.restore()
    named = veriscale.restore(cat, str(tiny_file), scale=2, crop="0,0,16,12", device="cpu")
    assert np.array_equal(result.image.pixels, named.image.pixels)
    assert result.mask is None


def test_a_loaded_prior_is_taken_as_it_is(tiny):
    assert open_restorer(settled(Settings()), prior=tiny).prior is tiny


def test_a_certificate_finds_its_prior_and_masks(tiny_file, certificate, cat, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    settings = settled(Settings(crop="0,0,12,12"), certified_settings(certificate))
    assert (settings.dial, settings.sampler, settings.steps) == ("1", "heun", 2)
    work = open_restorer(settings, certificate, device="cpu").prepare(replace(cat, format="png"))
    assert work.facts == certificate.binding.restoration
    assert work.restore().trusted.shape == (48, 48)
    assert certified_prior(certificate) == str(tiny_file)


def test_a_prior_that_is_not_installed_is_named_by_its_hash(certificate, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    (tmp_path / "broken.safetensors").write_bytes(b"no prior")
    with pytest.raises(InputError, match=r"which is not installed; name its file with prior\.$"):
        certified_prior(certificate)


def test_of_two_priors_with_one_network_the_certified_card_is_found(tiny, certificate, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    other = msgspec.structs.replace(tiny.card, dial=[])
    save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), other, tmp_path / "a.safetensors")
    assert certified_prior(certificate) == str(tmp_path / "a.safetensors")
    y = np.full((12, 12, 3), 128, np.uint8)
    with pytest.raises(InputError, match=r"^The certificate is for card "):
        veriscale.restore(y, certificate=certificate, device="cpu")
    save_prior(Networks(tiny.encoder, tiny.denoiser, tiny.predictor), tiny.card, tmp_path / "b.safetensors")
    assert certified_prior(certificate) == str(tmp_path / "b.safetensors")
    assert veriscale.restore(y, certificate=certificate, device="cpu").trusted is not None


def test_a_tool_under_its_certificate(tools):
    command, made = tools
    restorer = open_restorer(settled(Settings(command=command, timeout=3)), made)
    assert isinstance(restorer, ToolRestorer)
    assert (restorer.scale, restorer.timeout, restorer.certificate) == (4, 3, made)


def test_what_needs_a_certificate_or_a_command(tools, tiny):
    command, made = tools
    for settings in (Settings(alpha="0.1"), Settings(command=command), Settings(score_files="{stem}.npy")):
        with pytest.raises(InputError, match=r"^alpha, command and score_files belong to a certificate"):
            open_restorer(settled(settings))
    wrong = r"^timeout is the seconds that a command may take, a number above 0"
    for settings in (Settings(timeout=0, command=command), Settings(timeout=-1, command=command)):
        with pytest.raises(InputError, match=wrong):
            open_restorer(settings, made)
    with pytest.raises(InputError, match=wrong):
        open_restorer(Settings(timeout=3), prior=tiny)
    with pytest.raises(InputError, match="two things to restore with"):
        open_restorer(Settings(command=command), made, prior=tiny)
    with pytest.raises(InputError, match=r"if you trust it, give it as command\.$"):
        open_restorer(settled(Settings()), made, prior=tiny)


@pytest.mark.parametrize("alpha, words", [("0", "cannot be kept"), ("much", "is not a finite number")])
def test_a_level_that_is_none_is_refused_before_the_prior_is_loaded(certificate, alpha, words):
    with pytest.raises(InputError, match=words):
        open_restorer(settled(Settings(alpha=alpha, prior="no such prior")), certificate)


def test_a_certificate_by_its_name_is_the_users_first(certificate, output, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    shipped = known_certificates()["photo_x4_dial-0_area"]
    assert veriscale.find_certificate("photo_x4_dial-0_area").sha256 != certificate.sha256
    shutil.copy(output, tmp_path / "mine" / shipped.name)
    assert veriscale.find_certificate("photo_x4_dial-0_area").sha256 == certificate.sha256
    assert veriscale.find_certificate("certificate.json", output.parent).sha256 == certificate.sha256
    with pytest.raises(InputError, match="did you mean 'photo_x4_dial-0_area'"):
        veriscale.find_certificate("photo_x4_dial-0_aera")
