from pathlib import Path

import pytest
import torch
from tests.guides.toys import NAMES, arguments, perturbed

from veriscale.diffusion.card import Data
from veriscale.diffusion.prior import TrainedPrior
from veriscale.guides.card import GuideCard
from veriscale.guides.guide_file import load_guides, save_guides
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.networks import Guides, build_guides


def write_guides(path: Path, prior: TrainedPrior, planes: str = "", **changes: object) -> Path:
    torch.manual_seed(0)
    built = build_guides(prior.card.network, arguments(**changes))
    guides = Guides(*(perturbed(part) for part in built))  # type: ignore[arg-type]  # sites
    card = GuideCard(
        name=path.stem,
        parent=prior.card.name,
        parent_sha256=prior.card.tensors_sha256,
        arguments=arguments(**changes),
        training=[Data("contrasts/*", 4, "1" * 64, "CC BY 4.0", each=["ab" * 8], planes=planes)],
        validation=[],
        steps=1,
        batch=1,
        seconds=1.0,
        machine="test",
    )
    save_guides(guides, card, path, force=True)
    return path


@pytest.fixture(params=["features", "predictions"])
def guided(request, tiny, tiny_file, tmp_path, monkeypatch) -> GuidedPrior:
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    path = write_guides(tmp_path / "tiny-guided.safetensors", tiny, mix=request.param)
    return load_guides(path, torch.device("cpu"), torch.float32)


@pytest.fixture
def pictures() -> dict[str, torch.Tensor]:
    """Guides of 96 × 80 pixels, one of them with a hole, one known on the left alone."""
    g = torch.Generator().manual_seed(0)
    made = {name: torch.rand(1, 96, 80, generator=g) for name in NAMES}
    made["T1"][:, 30:50, 20:41] = torch.nan
    made["FLAIR"][..., 33:] = torch.nan
    return made
