"""Muon: orthogonalised momentum for the convolutions of residual blocks, Adam for everything else."""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from veriscale.diffusion.denoiser import Block
from veriscale.diffusion.encoder import ResidualBlock

MOMENTUM = 0.95
BETAS = (0.9, 0.99)  # Adam's
THEIRS = {"ResnetBlock2D": ("conv1", "conv2"), "Downsample2D": ("conv",), "Upsample2D": ("conv",)}
"""3×3 convolutions of diffusers, an extra: known by name."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic: steepest at zero, singular values end within 0.7 and 1.2
ITERATIONS = 5


def block_convolutions(module: nn.Module) -> list[Tensor]:
    """The trainable weights of the 3×3 convolutions in residual blocks: what is orthogonalised.

    Of diffusers' networks also those between levels.
    """
    blocks = [m for m in module.modules() if isinstance(m, ResidualBlock | Block)]
    weights = [layer.weight for block in blocks for layer in (block.first, block.second)]
    for theirs in module.modules():
        weights += [getattr(theirs, layer).weight for layer in THEIRS.get(type(theirs).__name__, ())]
    return [w for w in weights if w.requires_grad]


@torch.no_grad()
def orthogonalised(matrices: Tensor) -> Tensor:
    """About UVᵀ of each matrix USVᵀ, (N, rows, columns), in bfloat16 and back: five Newton–Schulz iterations.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    x: Tensor = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for `block_convolutions` of a module; Adam for its other parameters.

    A convolution is the matrix out × (in·k·k), and its update is scaled by 0.2·√max(rows, columns), which gives it the
    root mean square of an update of Adam.

    Args:
        module: whose trainable parameters are optimised.
        lr: of the orthogonalised updates.
        adam_lr: of Adam.

    Source: Jordan et al. 2024; the scale is of Liu et al. 2025, "Muon is scalable for LLM training", eq. 4.
    """

    def __init__(self, module: nn.Module, lr: float, adam_lr: float) -> None:
        blocks = block_convolutions(module)
        taken = {id(p) for p in blocks}
        others = [p for p in module.parameters() if p.requires_grad and id(p) not in taken]
        groups = [{"params": blocks, "lr": lr}, {"params": others, "lr": adam_lr}]
        # "fused" tells load_state_dict to put the counts of steps beside their parameters.
        super().__init__([g for g in groups if g["params"]], {"lr": lr, "fused": True})
        self.blocks = taken

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # the loss is not evaluated here
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if id(group["params"][0]) in self.blocks:
                self._orthogonal(parameters, group["lr"])
            elif parameters:
                self._adam(parameters, group["lr"])

    def _orthogonal(self, parameters: list[Tensor], lr: float) -> None:
        alike: dict[torch.Size, list[Tensor]] = {}
        for p in parameters:
            alike.setdefault(p.shape, []).append(p)
        for shape, members in alike.items():
            momenta = [self._moment(p, "momentum") for p in members]
            gradients: list[Tensor] = [p.grad for p in members if p.grad is not None]
            torch._foreach_mul_(momenta, MOMENTUM)
            torch._foreach_add_(momenta, gradients)
            ahead = torch._foreach_add(gradients, momenta, alpha=MOMENTUM)
            updates = orthogonalised(torch.stack([u.flatten(1) for u in ahead]))
            size = -lr * 0.2 * max(updates.shape[1:]) ** 0.5
            torch._foreach_add_(members, [u.view(shape) for u in updates], alpha=size)

    def _adam(self, parameters: list[Tensor], lr: float) -> None:
        for p in parameters:
            self.state[p].setdefault("step", torch.zeros((), device=p.device))
        adam(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            [self._moment(p, "exp_avg") for p in parameters],
            [self._moment(p, "exp_avg_sq") for p in parameters],
            [],
            [self.state[p]["step"] for p in parameters],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _moment(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        value: Tensor = state[name]
        return value
