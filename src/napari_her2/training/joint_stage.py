"""Stage C: generators and classifier together.

The classifier goes on as in stage B; where a stain was dropped and rebuilt, the
gradient of its loss now flows on into the generator, scaled down. It is added
to the gradient of the GAN and pyramid losses *before* the generator's one step:
Adam takes away any factor from a gradient that has a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from napari_her2.models.network import to_uint8
from napari_her2.training.classifier_stage import (
    GRADIENT_NORM,
    POLY_POWER,
    ClassifierStage,
)
from napari_her2.training.config import TrainingConfig
from napari_her2.training.distributed import average_gradients
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.losses import gan_loss, pyramid_l1
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import set_rate
from napari_her2.training.tiles import Tiles


class _Shown(torch.autograd.Function):
    """An image in [-1, 1] as it is shown, in grey values of [0, 1].

    Backwards, rounding counts as the identity and the gradient is scaled.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, share: float) -> Tensor:
        """Round to grey values."""
        ctx.share = share
        return to_uint8(image).float() / 255

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        """Return half the gradient (the range is half as wide) times the share."""
        return gradients[0] * 0.5 * ctx.share, None


def shown(image: Tensor, gradient_share: float) -> Tensor:
    """Return an image (…) in [-1, 1] as grey values of [0, 1].

    The values are those of ``models.network.to_uint8`` over 255, as stage B and
    inference have them; ``gradient_share`` of the gradient passes back.
    """
    result: Tensor = _Shown.apply(image, gradient_share)
    return result


class JointStage(ClassifierStage):
    """Networks and optimisers of stage C.

    Parameters
    ----------
    tiles
        Tiles with halo.
    learned
        Indices of those to train on.
    stages_a
        Stage A of both directions, trained; their networks and optimisers go on.
    stage_b
        Stage B, trained; its weights are copied.
    config
        Settings.
    watched
        Indices of validation tiles.
    """

    def __init__(
        self,
        tiles: Tiles,
        learned: NDArray[np.intp],
        stages_a: Mapping[str, GeneratorStage],
        stage_b: ClassifierStage,
        config: TrainingConfig,
        watched: NDArray[np.intp] | None = None,
    ) -> None:
        generators = {name: stage.generator for name, stage in stages_a.items()}
        super().__init__(tiles, learned, generators, config, watched, TrainStage.JOINT)
        self.stages_a = stages_a
        self.n_steps = config.joint_steps
        self.classifier.load_state_dict(stage_b.classifier.state_dict())
        self.mean_count.load_state_dict(stage_b.mean_count.state_dict())
        for generator in self.generators.values():
            generator.requires_grad_(True)  # statistics stay those of inference

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Classifier, generators and discriminators."""
        modules = {"classifier": self.classifier, "mean_count": self.mean_count}
        for name, stage in self.stages_a.items():
            modules |= {f"{name} {part}": m for part, m in stage.modules.items()}
        return modules

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Those of stage A, and one for the classifier."""
        optimizers: dict[str, Optimizer] = {"classifier": self._adam}
        for name, stage in self.stages_a.items():
            optimizers |= {f"{name} {part}": o for part, o in stage.optimizers.items()}
        return optimizers

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update the discriminators, then generators and classifier at once."""
        self._set_rates(1 - step / self.n_steps)
        values: dict[str, float] = {}
        total = torch.zeros((), device=self.device)
        for name, stage in self.stages_a.items():
            loss, parts = self._translation(stage, rng)
            total = total + loss
            values |= {f"{name} {part}": value for part, value in parts.items()}
        self.classifier.train()
        missing = self._dropped(rng, self.config.modality_dropout)
        loss, parts = self._losses(self._batch(missing, rng))
        learning = [
            self._adam,
            *(stage.optimizers["generator"] for stage in self.stages_a.values()),
        ]
        for optimizer in learning:
            optimizer.zero_grad(set_to_none=True)
        (total + loss).backward()
        average_gradients(self.classifier)
        clip_grad_norm_(self.classifier.parameters(), GRADIENT_NORM)
        for optimizer in learning:
            optimizer.step()
        watch = len(self.watched) and (step + 1) % self.config.validation_steps == 0
        return {**values, **parts, **(self._validate() if watch else {})}

    def _translation(
        self, stage: GeneratorStage, rng: Rng
    ) -> tuple[Tensor, dict[str, float]]:
        """Update a discriminator; return its generator's loss on a batch."""
        stage.generator.eval()
        source, real = stage._batch(rng)
        fake = stage._translate(source)
        loss_d = 0.5 * (
            gan_loss(stage._judge(source, fake.detach()), real=False)
            + gan_loss(stage._judge(source, real), real=True)
        )
        stage._update("discriminator", loss_d)
        stage.discriminator.requires_grad_(False)
        deceived = gan_loss(stage._judge(source, fake), real=True)
        stage.discriminator.requires_grad_(True)
        distance = pyramid_l1(fake, real, self.config.pyramid_scales)
        return deceived + self.config.pyramid_weight * distance, {
            "discriminator": loss_d.item(),
            "gan": deceived.item(),
            "pyramid_l1": distance.item(),
        }

    def _reconstruct(self, direction: str, tile: Tensor) -> Tensor:
        """Return cores with a way back for a share of the gradient."""
        fake = self.generators[direction](tile * 2 - 1)
        return shown(self._core(fake.float()), self.config.joint_gradient_share)

    def _set_rates(self, left: float) -> None:
        config, falling = self.config, left**POLY_POWER
        share = config.joint_classifier_rate_share
        set_rate(self._adam, config.classifier_rate * share * falling)
        share = config.joint_generator_rate_share
        for stage in self.stages_a.values():
            for optimizer in stage.optimizers.values():
                set_rate(optimizer, config.generator_rate * share * falling)
