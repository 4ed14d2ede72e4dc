"""The networks of a bundle behind one call, for inference only.

A tile goes in as it lies on the slide-anchored grid (core and halo); what
comes out belongs to the core alone. The generator's pixels depend on their
receptive field only, the classifier pools over the core, so a result never
depends on what happens to be on screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_her2.core.errors import BundleError, UsageError
from napari_her2.models import encoders, generator
from napari_her2.models.bundle import Bundle
from napari_her2.models.classifier import ClassifierOutput, Her2Classifier
from napari_her2.models.config import NetworkConfig
from napari_her2.models.generator import Generator, receptive_field_px

STRONGEST_CHANNELS = 8
"""How many channels of the attention module make up the evidence map."""


@dataclass(frozen=True, slots=True)
class TileOutput:
    """Results for the cores of a batch of tiles.

    ``synthetic_ihc`` (B, 3, core, core) uint8, None without H&E; ``logits``
    (B, K); ``attention`` (B, a, a) in [0, 1], a = core / 32; ``channel_weights``
    (B, C) in (0, 1); ``branch_share`` (B,), share of the H&E branch in [0, 1].
    """

    synthetic_ihc: Tensor | None
    logits: Tensor
    attention: Tensor
    channel_weights: Tensor
    branch_share: Tensor


class Her2Network(nn.Module):
    """Generator and classifier in the state a bundle holds, never in training.

    With both stains the real IHC is scored; with H&E alone the synthetic IHC,
    rounded to grey values as it is shown; with IHC alone the shared features of
    the IHC stand for the H&E.

    Parameters
    ----------
    config
        Architecture.
    core_px, halo_px
        Tile geometry; the halo must cover the generator's receptive field.
    attention_scale
        Sum of weighted activations that is shown as 1 in the evidence map.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        core_px: int,
        halo_px: int,
        attention_scale: float,
    ) -> None:
        super().__init__()
        if core_px % encoders.STRIDE or halo_px % generator.STRIDE:
            raise ValueError(
                f"core {core_px} px and halo {halo_px} px are not multiples of "
                f"{encoders.STRIDE} and {generator.STRIDE}"
            )
        if halo_px < receptive_field_px(config):
            raise ValueError(
                f"halo {halo_px} px is narrower than the generator's field of "
                f"{receptive_field_px(config)} px"
            )
        self.config = config
        self.core_px, self.halo_px = core_px, halo_px
        self.attention_scale = attention_scale
        self.generator = Generator(config)
        self.classifier = Her2Classifier(config)
        for part in (self.generator, self.classifier):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False).eval()

    @property
    def tile_px(self) -> int:
        """Side of an input tile: core and two halos."""
        return self.core_px + 2 * self.halo_px

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: batch statistics would leak between tiles."""
        return super().train(False)

    def synthesize(self, he: Tensor) -> Tensor:
        """Return the synthetic IHC of the cores, uint8 (B, 3, core, core)."""
        image = self._tile(he) * 2 - 1
        return to_uint8(self._core(self.generator(image)))

    def forward(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Score tiles of shape (B, 3, tile, tile) in [0, 1]; None = stain missing.

        Raises
        ------
        UsageError
            If both stains are missing or a tile has another size.
        """
        synthetic = None if he is None else self.synthesize(he)
        seen: Tensor | None = None
        if ihc is not None:
            seen = self._core(self._tile(ihc))
        elif synthetic is not None:
            seen = synthetic.float() / 255
        core = None if he is None else self._core(he)
        result = self.classifier(core, seen)
        return TileOutput(
            synthetic_ihc=synthetic,
            logits=result.logits,
            attention=(evidence_sum(result) / self.attention_scale).clamp(0, 1),
            channel_weights=result.channel_weights,
            branch_share=_branch_share(result, he_given=he is not None),
        )

    def _tile(self, image: Tensor) -> Tensor:
        if image.shape[1:] != (3, self.tile_px, self.tile_px):
            raise UsageError(
                f"A tile of shape {tuple(image.shape[1:])} does not fit the model.",
                f"Give tiles of 3 x {self.tile_px} x {self.tile_px}.",
            )
        return image.contiguous(memory_format=torch.channels_last)

    def _core(self, image: Tensor) -> Tensor:
        inside = slice(self.halo_px, self.halo_px + self.core_px)
        return image[..., inside, inside]


def to_uint8(image: Tensor) -> Tensor:
    """Round an image in [-1, 1] to grey values."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def evidence_sum(result: ClassifierOutput) -> Tensor:
    """Sum the positive weighted activations of the strongest channels.

    Strongest means the :data:`STRONGEST_CHANNELS` largest channel weights of
    the tile. Shape (B, a, a), not yet scaled.
    """
    count = min(STRONGEST_CHANNELS, result.channel_weights.shape[1])
    strongest = result.channel_weights.topk(count).indices
    picked = result.attended.gather(
        1, strongest[:, :, None, None].expand(-1, -1, *result.attended.shape[2:])
    )
    return picked.clamp(min=0).sum(1)


def _branch_share(result: ClassifierOutput, *, he_given: bool) -> Tensor:
    """Share of the H&E branch in what the attention lets through.

    The fused map is linear in both branches: W_he f_he + W_ihc f_ihc. A
    branch's contribution is the mean over the tile of its part's magnitude,
    times the channel weight, summed over channels. Without H&E its share is 0,
    for what stands in for it comes from the IHC.
    """
    weights = result.channel_weights
    he = (result.he_part.abs().mean((2, 3)) * weights).sum(1)
    ihc = (result.ihc_part.abs().mean((2, 3)) * weights).sum(1)
    if not he_given:
        return torch.zeros_like(he)
    return he / (he + ihc).clamp(min=torch.finfo(he.dtype).tiny)


def load_network(bundle: Bundle) -> Her2Network:
    """Build the networks of a verified bundle and read their weights.

    Raises
    ------
    BundleError
        If the card's architecture is unknown, its geometry or classes do not
        fit it, or a weight is missing, unknown or of another shape.
    """
    card = bundle.card
    try:
        parameters: dict[str, Any] = dict(card.parameters)
        config = NetworkConfig.from_dict(parameters["network"])
        network = Her2Network(
            config,
            core_px=card.core_px,
            halo_px=card.halo_px,
            attention_scale=float(parameters["attention_scale"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(bundle, f"the card's parameters do not fit: {error}.") from error
    if config.n_classes != len(card.classes):
        raise _refused(
            bundle,
            f"{len(card.classes)} class names stand beside {config.n_classes} logits.",
        )
    for part in ("generator", "classifier"):
        state = load_file(bundle.weights_path(part))
        try:
            network.get_submodule(part).load_state_dict(state)
        except RuntimeError as error:
            problem = str(error).splitlines()[1:2] or [str(error)]
            raise _refused(
                bundle, f"the {part} does not fit its card: {problem[0].strip()}"
            ) from error
    return network


def _refused(bundle: Bundle, problem: str) -> BundleError:
    return BundleError(
        bundle.path, problem, "Choose another bundle, or train this one again."
    )
