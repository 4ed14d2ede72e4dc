"""Stage A: a generator of one stain from the other against a PatchGAN.

Source: Pyramid Pix2Pix (arXiv 2204.11425): vanilla GAN loss, L1 between
blurred images with weight 25, Adam with betas (.5, .999), constant and then
linearly falling rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from napari_her2.models.discriminator import PatchDiscriminator
from napari_her2.models.generator import Generator, init_gan_weights
from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import mixed_precision, training_device
from napari_her2.training.losses import gan_loss, pyramid_l1
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import freeze_statistics, set_rate
from napari_her2.training.tiles import Tiles


class GeneratorStage:
    """Networks and optimisers of stage A.

    Parameters
    ----------
    cache
        Tiles.
    tiles
        Indices of those to train on.
    config
        Settings.
    stage
        ``HE_TO_IHC``, ``IHC_TO_HE``, or ``PLAIN_HE_TO_IHC``: Pyramid Pix2Pix
        without CM-GAN's additions, to compare with.
    """

    def __init__(
        self,
        cache: Tiles,
        tiles: NDArray[np.intp],
        config: TrainingConfig,
        stage: TrainStage = TrainStage.HE_TO_IHC,
    ) -> None:
        self.cache, self.tiles, self.config = cache, tiles, config
        self.stage = stage
        self.n_steps = sum(config.generator_cycles)
        torch.manual_seed(config.seed)
        network = config.network
        if stage is TrainStage.PLAIN_HE_TO_IHC:
            network = replace(network, multi_scale=False)
        self.generator = Generator(network).apply(init_gan_weights)
        self.discriminator = PatchDiscriminator(config.network).apply(init_gan_weights)
        for part in (self.generator, self.discriminator):
            part.to(training_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._adam = {
            name: Adam(module.parameters(), config.generator_rate, (0.5, 0.999))
            for name, module in self.modules.items()
        }

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """One Adam for each network."""
        return self._adam

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update the discriminator, then the generator, on one batch."""
        config = self.config
        for adam in self._adam.values():
            set_rate(adam, config.generator_rate * _falling(step, config))
        self.generator.train()
        if step >= config.moving_statistics_share * self.n_steps:
            freeze_statistics(self.generator)
        source, real = self._batch(rng)
        fake = self._translate(source)
        loss_d = 0.5 * (
            gan_loss(self._judge(source, fake.detach()), real=False)
            + gan_loss(self._judge(source, real), real=True)
        )
        self._update("discriminator", loss_d)
        # the discriminator only judges here: its gradients would be thrown away
        self.discriminator.requires_grad_(False)
        deceived = gan_loss(self._judge(source, fake), real=True)
        self.discriminator.requires_grad_(True)
        distance = pyramid_l1(fake, real, config.pyramid_scales)
        self._update("generator", deceived + config.pyramid_weight * distance)
        return {
            "discriminator": loss_d.item(),
            "gan": deceived.item(),
            "pyramid_l1": distance.item(),
        }

    def _translate(self, source: Tensor) -> Tensor:
        with mixed_precision(self.config.mixed_precision):
            image: Tensor = self.generator(source)
        return image.float()

    def _judge(self, source: Tensor, target: Tensor) -> Tensor:
        with mixed_precision(self.config.mixed_precision):
            logits: Tensor = self.discriminator(source, target)
        return logits.float()

    def _update(self, name: str, loss: Tensor) -> None:
        self._adam[name].zero_grad(set_to_none=True)
        loss.backward()
        self._adam[name].step()

    def _batch(self, rng: Rng) -> tuple[Tensor, Tensor]:
        side = self.config.generator_crop_px
        he, ihc = [], []
        for index in rng.choice(self.tiles, self.config.generator_batch):
            y, x = rng.integers(0, self.cache.he[index].shape[0] - side + 1, 2)
            turn = Turn.draw(rng)
            window = slice(y, y + side), slice(x, x + side)
            he.append(turn.apply(self.cache.he[index][window]))
            ihc.append(turn.apply(self.cache.ihc[index][window]))
        if self.stage is TrainStage.IHC_TO_HE:
            source, target = vary_ihc(to_tensor(ihc), rng), to_tensor(he)
        else:
            source, target = vary_he(to_tensor(he), rng), to_tensor(ihc)
        device = training_device()
        return source.to(device) * 2 - 1, target.to(device) * 2 - 1


def _falling(step: int, config: TrainingConfig) -> float:
    """Return the factor of the learning rate: 1, then falling to 0 in each cycle."""
    for length in config.generator_cycles:
        if step < length:
            return min(1.0, 2 * (1 - step / length))
        step -= length
    return 0.0
