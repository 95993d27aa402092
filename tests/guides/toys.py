"""Small networks and guides of random weights, for the laws."""

import torch
from torch import Tensor

from veriscale.guides.arguments import GuideArguments
from veriscale.guides.expert import Experts
from veriscale.guides.guidance import guidance
from veriscale.guides.refiner import Refiner
from veriscale.guides.site import Injection

NAMES = ["T1", "T1C", "FLAIR"]


def perturbed(part: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Zero-initialised ends would make every law trivial."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in part.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=g))
    return part.eval().requires_grad_(False)


def arguments(**changes: object) -> GuideArguments:
    return GuideArguments(**{"target": "T2", "modalities": NAMES, "width": 16, "depth": 1, **changes})  # type: ignore[arg-type]


def refiner(**changes: object) -> Refiner:
    torch.manual_seed(0)
    made = perturbed(Refiner(arguments(**changes), 2, 2, channels=1, seen=8, added=4, blocks=1))
    assert isinstance(made, Refiner)
    return made


def injected(network: Refiner, pictures: Tensor, valid: Tensor, **changes: object) -> Injection:
    """Of experts of random weights, the same ones each time."""
    torch.manual_seed(1)
    a = arguments()
    experts = perturbed(Experts(2, a.width, a.depth, len(a.modalities)))
    return Injection(network.site, guidance(experts, pictures, valid, network.site.cell), **changes)  # type: ignore[arg-type]


def guides(seed: int = 0) -> tuple[Tensor, Tensor]:
    """(2, 3, 12, 16), and where they are valid: each in a part of its own, and nowhere in the last columns."""
    g = torch.Generator().manual_seed(seed)
    pictures = torch.rand(2, 3, 12, 16, generator=g)
    valid = torch.ones(2, 3, 12, 16, dtype=torch.bool)
    valid[0, 0, 4:8, 2:9] = False
    valid[1, 1] = False
    valid[:, 2, :, :6] = False
    valid[..., 12:] = False
    return pictures, valid


def seen(seed: int = 1) -> Tensor:
    return torch.randn(2, 8, 6, 8, generator=torch.Generator().manual_seed(seed))
