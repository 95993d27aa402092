"""Strangers' networks under the data root, built as their authors describe them; grey, pictures in [0, 1].

Both are blind: they take no noise level. Sources and licences: the data's README.networks.md.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

NAMES = ("faces_gray", "blind_unet_gray")
SIGMAS = {"faces_gray": (0.002, 1.0), "blind_unet_gray": (0.002, 100 / 255)}
"""Noise levels each was trained on; both are without biases, and scale beyond."""
STRIDES = {"faces_gray": 1, "blind_unet_gray": 2}


class Faces(nn.Module):
    """y − f(y), f of 21 convolutions (Kadkhodaie, Guth, Mallat, Simoncelli 2023: local networks without biases)."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.state = nn.ParameterDict({k.replace(".", "_"): nn.Parameter(v, False) for k, v in state.items()})
        self.depth = sum(k.startswith("conv_layers") for k in state)

    def forward(self, y: Tensor) -> Tensor:
        x = y
        for k in range(self.depth):
            weight = self.state[f"conv_layers_{k}_weight"]
            x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
            if 0 < k < self.depth - 1:
                sd, gamma = (self.state[f"BN_layers_{k - 1}_{name}"] for name in ("running_sd", "gammas"))
                x = functional.relu(x / sd * gamma)
        return y - x


class BlindUNet(nn.Module):
    """The bias-free U-Net of Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda 2020."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(state[f"conv{k}.weight"], False) for k in range(1, 10)])

    def forward(self, y: Tensor) -> Tensor:
        def conv(x: Tensor, k: int, stride: int = 1, dilation: int = 1) -> Tensor:
            weight = self.w[k - 1]
            pad = dilation * (weight.shape[-1] // 2)
            return functional.conv2d(x, weight, stride=stride, padding=pad, dilation=dilation)

        a = functional.relu(conv(functional.relu(conv(y, 1)), 2))
        b = functional.relu(conv(functional.relu(conv(a, 3, stride=2)), 4))
        b = functional.relu(conv(functional.relu(conv(b, 5, dilation=2)), 6, dilation=4))
        b = functional.relu(functional.conv_transpose2d(b, self.w[6], stride=2, padding=1))
        return conv(functional.relu(conv(torch.cat([b, a], 1), 8)), 9)


def stranger(name: str) -> nn.Module:
    """One of `NAMES`, in float32."""
    root = Path(os.environ.get("VERISCALE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    state = load_file(root / "networks" / f"{name}.safetensors")
    return (Faces if name == "faces_gray" else BlindUNet)(state).eval()


def kadkhodaie(
    denoise: Callable[[Tensor], Tensor],
    pinv: Callable[[Tensor], Tensor],
    project: Callable[[Tensor], Tensor],
    y: Tensor,
    step: float,
    inject: float,
    last: float,
    noise: Callable[[int], Tensor],
    most: int = 1000,
) -> tuple[Tensor, int]:
    """Coarse to fine by a blind denoiser's own residual, and the evaluations it took.

    Args:
        denoise: blind.
        pinv: A⁺.
        project: A⁺A; for rows that are orthonormal that is AᵀA.
        y: the measurement.
        step: h₀.
        inject: β: 1 for no noise put back, 0 for as much as is taken.
        last: σ_L, where it ends.
        noise: step → unit noise in the shape of the picture.
        most: evaluations at most.

    Source: Kadkhodaie, Simoncelli 2021, algorithm 2.
    """
    known = pinv(y)
    x = 0.5 * (1 - project(torch.ones_like(known))) + known + noise(0)
    for t in range(1, most + 1):
        h = step * t / (1 + step * (t - 1))
        residual = denoise(x) - x
        d = residual - project(residual) + known - project(x)
        sigma = float(d.square().mean().sqrt())
        x = x + h * d
        if sigma <= last:
            break
        x = x + ((1 - inject * h) ** 2 - (1 - h) ** 2) ** 0.5 * sigma * noise(t)
    return x, t
