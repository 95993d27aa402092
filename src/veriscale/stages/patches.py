"""Training items that are patches of pictures and noise: nothing is measured of them."""

import torch

from veriscale.stages.batches import Batch, Batches, key, turned


class Patches(Batches):
    """Makes patches of photographs; the same for one process and for many."""

    def patches(self, phase: str, step: int, items: range, patch: int, noise: tuple[int, int, int]) -> Batch:
        """The items of one step, the truth in the place of a measurement.

        Args:
            phase, step: part of the key.
            items: global indices within the step's batch; a process takes its share of them.
            patch: side of the truth.
            noise: shape of an item's, (c, h, w): that of latents.

        Raises:
            InputError: a photograph is smaller than a patch.
        """
        device = self.data.images[0].device
        crops, uniforms, drawn = [], [], []
        for i in items:
            index, u = self.item(phase, step, i)
            crops.append(turned(self._crop(index, u[1:3], patch, 0, 1, phase), u))
            uniforms.append(u[8])
            generator = torch.Generator(device).manual_seed(key(self.seed, phase, step, i, "noise"))
            drawn.append(torch.randn(noise, generator=generator, device=device))
        x = torch.stack(crops).float() / 255
        level = torch.tensor(uniforms, device=device)
        return Batch(x, x, 1, torch.zeros_like(level), torch.ones_like(level).bool(), level, torch.stack(drawn))
