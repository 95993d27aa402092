import pytest

from veriscale.errors import InputError
from veriscale.traversal.presets import LATENT_PRESETS, PRESETS, find_latent_preset, find_preset


def test_published_weights_come_from_pictures_in_minus_one_to_one():
    """Squared norms there are four times ours, plain ones twice; pictures also shrink by two, and latents do not."""
    assert (PRESETS["map-rps-sr4"].weight, PRESETS["map-rps-sr4"].rate) == (0.25 / 2, 0.5 / 2)
    ffhq, coco, sensing = (LATENT_PRESETS[f"lmap-rps-{k}"] for k in ("ffhq-sr4", "coco-sr4", "coco-sensing"))
    assert (ffhq.weight, ffhq.rate, ffhq.guidance, ffhq.zeta) == (0.25 / 4, 0.5, 1.0, 0.08)
    assert (coco.weight, coco.rate, coco.guidance, coco.plain) == (0.15 / 4, 2.0, 1.5, False)
    assert (sensing.weight, sensing.rate, sensing.plain) == (0.005 / 2, 0.5, True)


def test_a_preset_of_the_other_kind_is_refused():
    assert find_latent_preset("lmap-rps-coco-hdr").iterations == 400
    with pytest.raises(InputError, match="'lmap-rps-coco-hdr' is for latent priors"):
        find_preset("lmap-rps-coco-hdr")
    with pytest.raises(
        InputError, match="No preset for latents is called 'lmap-rps-coco-sr'; did you mean 'lmap-rps-coc"
    ):
        find_latent_preset("lmap-rps-coco-sr")
