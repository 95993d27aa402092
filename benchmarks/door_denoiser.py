"""door.denoiser.*: the unconditional mode of `photo` as a user's network of every kind, and an exact Gaussian."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

import veriscale
from exact import Problem, prior
from pictures import DATA, centre, files
from results import Row, write_results
from veriscale.diffusion.adapters import ddpm_linear, sigmas_of
from veriscale.diffusion.own_card import Measured
from veriscale.diffusion.own_prior import OwnPrior, measured
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo

SIDE, NOISE = 96, 0.02
TASKS = {"inpainting": "inpaint:keep=0.5", "sr": "downsample:factor=4,kernel=box"}
SCHEDULE = ddpm_linear()
KINDS = {
    "x0": {},
    "epsilon": {"predicts": "epsilon"},
    "x0_schedule": {"alphas_bar": SCHEDULE},
    "epsilon_schedule": {"predicts": "epsilon", "alphas_bar": SCHEDULE, "range": (-1, 1)},
    "v_schedule": {"predicts": "v", "alphas_bar": SCHEDULE, "range": (-1, 1)},
    "flow": {"predicts": "flow"},
}
GAUSSIAN_SIDE, PICTURES, WIDE = 32, 4, 64
GAUSSIAN = {
    "box": ("downsample:factor=4,kernel=box", "<= 1e-4"),
    "blur": ("blur:kernel=anisotropic,std=20x1,angle=45", "<= 1e-4"),
    "mask": ("inpaint:keep=0.5", "<= 1e-3"),
}


def network(denoise: Callable[[Tensor, float], Tensor], stated: dict) -> Callable[[Tensor, Tensor], Tensor]:
    """A denoiser of pictures in [0, 1] as a network of another kind."""
    predicts, symmetric = stated.get("predicts", "x0"), stated.get("range") == (-1, 1)
    levels = sigmas_of(SCHEDULE).log().numpy()

    def answer(x_t: Tensor, t: Tensor) -> Tensor:
        if predicts == "flow":
            sigma, signal = float(t[0] / (1 - t[0])), 1 - float(t[0])
        elif "alphas_bar" in stated:
            sigma = float(np.exp(np.interp(float(t[0]), np.arange(len(levels)), levels)))
            signal = (1 + sigma**2) ** -0.5
        else:
            sigma, signal = float(t[0]), 1.0
        seen = x_t / signal
        x0 = 2 * denoise((seen + 1) / 2, sigma / 2) - 1 if symmetric else denoise(seen, sigma)
        noise = (seen - x0) / sigma
        return {"x0": x0, "epsilon": noise, "v": signal * (noise - sigma * x0), "flow": noise - x0}[predicts]

    return answer


def wrapped_rows() -> list[Row]:
    photo = veriscale.load_prior("photo", dtype=torch.float32)
    x = Photo(centre(read_photo(files("validation")[0]).pixels, SIDE), bit_depth=32, format="npy")
    rows = []
    for kind, stated in KINDS.items():
        own = veriscale.prior_from(network(photo.denoise, stated), channels=3, version=kind, **stated)
        known = own.mode(0)  # a schedule knows no level below its first: both end there
        low, high = max(known.sigma_min, photo.mode(0).sigma_min), known.sigma_max
        mode = msgspec.structs.replace(photo.mode(0), sigma_min=low, sigma_max=high)
        card = msgspec.structs.replace(photo.card, modes=[mode, *photo.card.modes[1:]])
        built_in = replace(photo, card=card)
        own = measured(own, Measured(own.card.tensors_sha256, mode, [], photo.card.validation[0]))
        worst = {0.0: 0.0, 1.0: 0.0}
        for text in TASKS.values():
            y = veriscale.degrade(x, text, NOISE)
            a, b = (
                veriscale.restore(y, p, operator=text, noise=NOISE, anchor="fast", dial=[0, 1]).images
                for p in (built_in, own)
            )
            for f in worst:
                worst[f] = max(worst[f], float(np.abs(a[f].pixels - b[f].pixels).max()))
        for name, f in (("anchor", 0.0), ("draw", 1.0)):
            what = f"`photo` wrapped as a user's network ({kind}): {name}, largest difference from the built-in"
            rows.append(Row(f"door.denoiser.{kind}.{name}", what, worst[f], bar="<= 1e-5"))
    return rows


def gaussian_rows() -> list[Row]:
    oracles = {side: prior(side) for side in (GAUSSIAN_SIDE, WIDE)}  # the wide one is for the picture it is tried on

    def exact(x: Tensor, sigma: Tensor) -> Tensor:
        return oracles[x.shape[-1]].denoise(x.double(), float(sigma[0])).float()

    own = veriscale.prior_from(exact, channels=1, version="1")
    rows = []
    for name, (text, bar) in GAUSSIAN.items():
        problem = Problem.of(oracles[GAUSSIAN_SIDE], text, 0.05)
        data = problem.measured(PICTURES, 0)
        worst = 0.0
        for y, mean in zip(data.y, problem.mean(data), strict=True):
            photo = Photo(y.permute(1, 2, 0).float().numpy(), bit_depth=32, format="npy")
            found = veriscale.restore(photo, own, operator=text, noise=0.05).image.pixels
            wanted = mean.permute(1, 2, 0).numpy()
            worst = max(worst, float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)))
        what = f"an exact Gaussian denoiser, {text}, s = 0.05: the anchor off the posterior mean"
        rows.append(Row(f"door.denoiser.gaussian.{name}", what, worst, bar=bar))
    return rows


def card_row() -> Row:
    photo = veriscale.load_prior("photo")
    own: OwnPrior = veriscale.prior_from(network(photo.denoise, {}), channels=3, version="card")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        veriscale.measure_prior(own, DATA / "validation", Path(folder) / "card.json")
        seconds = time.perf_counter() - begun
    return Row("door.denoiser.card", "measuring the card of a network of `photo`'s size", seconds, "s")


def main() -> None:
    print("about three minutes on two cores")
    begun = time.perf_counter()
    rows = [*wrapped_rows(), *gaussian_rows(), card_row()]
    notes = (
        f"Wrapped: a centre crop of {SIDE}² of a validation photograph, float32, s = {NOISE}, 50 % of the pixels and "
        "box ×4, with the levels and trust of `photo`'s own card, ending at the lowest level that the wrapping knows; "
        "DDPM's linear schedule of 1,000 timesteps, asked between whole ones. Gaussian: "
        f"{GAUSSIAN_SIDE}² pixels as in oracle_anchor.json, {PICTURES} measurements, through `restore`, float32, "
        "stated defaults: the worst relative error. The card is measured on 20 photographs."
    )
    print(write_results("door_denoiser", rows, notes, time.perf_counter() - begun))


if __name__ == "__main__":
    main()
