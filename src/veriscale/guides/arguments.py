"""What the networks of guides are built from: sizes, and one word for each choice that an ablation asks about."""

from typing import Literal

import msgspec

Fusion = Literal["dynamic", "mean", "learned", "concat"]
Mix = Literal["features", "predictions"]
Tau = Literal["constant", "falling", "reversed", "learned", "modality"]


class GuideArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes and choices.

    Attributes:
        target: name of the modality that is restored.
        modalities: names of those that guide it, in the order of the experts.
        width: channels of an expert's feature and of the gate.
        depth: residual blocks of an expert.
        blocks: residual blocks after guides have come in, of what corrects the mean and of what corrects the denoiser.
        fusion: dynamic weights by the gate; or static ones, all with an amount of 1: their mean, weights that are
            learned but the same everywhere, or a projection of all features side by side.
        mix: features are fused, and a network makes a correction of them; or experts' own predictions are mixed with
            the prior's.
        tau: the gate's temperature: constant, falling from noisy to clean, the reverse, learned, learned by modality.
    """

    target: str
    modalities: list[str]
    width: int = 32
    depth: int = 1
    blocks: tuple[int, int] = (4, 1)
    fusion: Fusion = "dynamic"
    mix: Mix = "features"
    tau: Tau = "constant"
