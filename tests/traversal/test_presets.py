import pytest

from veriscale.errors import InputError
from veriscale.traversal.presets import (
    LATENT_PRESETS,
    PRESETS,
    LatentPreset,
    Preset,
    find_latent_preset,
    find_preset,
)

PICTURES = {
    "sr4": (300, 0.25, 1.0),
    "inpainting": (400, 0.7, 1.0),
    "denoising": (60, 2.0, 1.0),
    "blur": (200, 0.01, 2.0),
}
"""As published, on [−1, 1]: iterations, weight, zeta."""
FACES = {
    "sr4": (60, 0.25, 0.08, 0.5),
    "inpainting": (120, 0.3, 0.05, 0.5),
    "denoising": (70, 0.6, 0.015, 0.5),
    "blur": (100, 0.001, 0.04, 0.1),
}
"""The same over latents, and the rate."""
COCO = {
    "sr4": (100, 0.15, 0.1, 2.0, False),
    "inpainting": (200, 0.3, 0.01, 2.0, False),
    "blur": (200, 0.1, 0.1, 2.0, False),
    "sensing": (300, 0.005, None, 0.5, True),
    "hdr": (400, 0.005, None, 2.0, True),
    "nonlinear-blur": (500, 0.002, None, 2.0, True),
}
"""The same, whether the norm is the plain one; where no zeta is published, that of sr4 stands in."""


def test_published_weights_come_from_pictures_in_minus_one_to_one():
    """Squared norms there are four times ours, plain ones twice; pictures also shrink by two, and latents do not."""
    for task, (iterations, weight, zeta) in PICTURES.items():
        assert PRESETS[f"map-rps-{task}"] == Preset(iterations, weight / 2, 0.25, 0.022, zeta, 100)
    for task, (iterations, weight, zeta, rate) in FACES.items():
        found = LATENT_PRESETS[f"lmap-rps-ffhq-{task}"]
        assert found == LatentPreset(iterations, weight / 4, False, rate, 50, zeta, 100, 1.0)
    for task, (iterations, weight, zeta, rate, plain) in COCO.items():
        found = LATENT_PRESETS[f"lmap-rps-coco-{task}"]
        expected = LatentPreset(iterations, weight / (2 if plain else 4), plain, rate, 50, zeta or 0.1, 100, 1.5)
        assert found == expected
    assert len(PRESETS) + len(LATENT_PRESETS) == len(PICTURES) + len(FACES) + len(COCO)


def test_a_preset_of_the_other_kind_is_refused():
    assert find_latent_preset("lmap-rps-coco-hdr").iterations == 400
    with pytest.raises(InputError, match="'lmap-rps-coco-hdr' is for latent priors"):
        find_preset("lmap-rps-coco-hdr")
    with pytest.raises(
        InputError, match="No preset for latents is called 'lmap-rps-coco-sr'; did you mean 'lmap-rps-coc"
    ):
        find_latent_preset("lmap-rps-coco-sr")
