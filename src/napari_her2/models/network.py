"""The networks of a bundle behind one call, for inference only.

A tile goes in as it lies on the slide-anchored grid (core and halo); what
comes out belongs to the core alone. The generator's pixels depend on their
receptive field only, the classifier pools over the core, so a result never
depends on what happens to be on screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Literal, Self, get_args

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_her2.core.errors import BundleError, UsageError
from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.models import encoders, generator
from napari_her2.models.bundle import Bundle
from napari_her2.models.classifier import ClassifierOutput, Her2Classifier
from napari_her2.models.config import NetworkConfig
from napari_her2.models.evidence import branch_share, evidence_sum
from napari_her2.models.generator import Generator, receptive_field_px
from napari_her2.models.selector import StainSelector
from napari_her2.models.statistics import read_statistics
from napari_her2.models.tile_output import (
    ReconstructionGate,
    TileFamiliarity,
    TileOutput,
)

__all__ = [
    "HE_TO_IHC",
    "IHC_TO_HE",
    "Her2Network",
    "Policy",
    "TileOutput",
    "evidence_sum",
    "load_network",
    "to_uint8",
]

Policy = Literal["gan", "shared", "zero"]
HE_TO_IHC, IHC_TO_HE = "he_to_ihc", "ihc_to_he"
NEEDED_PARTS = (HE_TO_IHC, "classifier")

_ALONE = {Stain.HE: Arm.HE, Stain.IHC: Arm.IHC}
WITH_RECONSTRUCTION = {
    Stain.HE: Arm.HE_RECONSTRUCTED,
    Stain.IHC: Arm.IHC_RECONSTRUCTED,
}
"""The arm of a stain beside the reconstruction of the other."""


class Her2Network(nn.Module):
    """Generators and classifier in the state a bundle holds, never in training.

    With both stains the real images are scored. With one, ``policy`` decides:
    ``gan`` scores the stain alone and beside the reconstructed other one, rounded
    to grey values as it is shown, and the gate chooses between the two in every
    tile; ``shared`` and ``zero`` score the stain alone.

    Parameters
    ----------
    config
        Architecture.
    core_px, halo_px
        Tile geometry; the halo must cover the generator's receptive field.
    attention_scale
        Sum of weighted activations that is shown as 1 in the evidence map.
    gate
        Decides about reconstructions; without one they are all used.
    familiarity
        Measures how far a tile is from what the bundle was trained on.
    policy
        What is done about a missing stain.
    ihc_to_he, selector
        Whether these optional parts exist.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        core_px: int,
        halo_px: int,
        attention_scale: float,
        gate: ReconstructionGate | None = None,
        familiarity: TileFamiliarity | None = None,
        policy: Policy = "gan",
        ihc_to_he: bool = True,
        selector: bool = False,
    ) -> None:
        super().__init__()
        if core_px % encoders.DEEPEST_STRIDE or halo_px % generator.STRIDE:
            raise ValueError(
                f"core {core_px} px and halo {halo_px} px are not multiples of "
                f"{encoders.DEEPEST_STRIDE} and {generator.STRIDE}"
            )
        if halo_px < receptive_field_px(config):
            raise ValueError(
                f"halo {halo_px} px is narrower than the generator's field of "
                f"{receptive_field_px(config)} px"
            )
        if policy not in get_args(Policy):
            raise ValueError(f"policy {policy!r} is none of {get_args(Policy)}")
        if policy != "gan" and policy != config.missing:
            raise ValueError(
                f"policy {policy!r} does not fit a classifier that puts "
                f"{config.missing!r} in the place of a missing stain"
            )
        self.config = config
        self.core_px, self.halo_px = core_px, halo_px
        self.attention_scale = attention_scale
        self.gate, self.familiarity, self.policy = gate, familiarity, policy
        directions = [HE_TO_IHC, *([IHC_TO_HE] if ihc_to_he else [])]
        self.generators = nn.ModuleDict({d: Generator(config) for d in directions})
        self.translators: dict[str, Callable[[Tensor], Tensor]] = {}
        self.classifier = Her2Classifier(config)
        self.selector = StainSelector(config.selector_width) if selector else None
        for part in self.parts().values():
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False).eval()

    @property
    def tile_px(self) -> int:
        """Side of an input tile: core and two halos."""
        return self.core_px + 2 * self.halo_px

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules by the name of their file in a bundle."""
        parts: dict[str, nn.Module] = dict(self.generators.items())
        parts["classifier"] = self.classifier
        if self.selector is not None:
            parts["selector"] = self.selector
        return parts

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: batch statistics would leak between tiles."""
        return super().train(False)

    def synthesize(self, image: Tensor, direction: str = HE_TO_IHC) -> Tensor:
        """Return the other stain of the cores of tiles, uint8 (B, 3, core, core).

        ``translators`` holds what a backend puts in the place of a generator.
        """
        if direction in self.translators:
            return self.translators[direction](self._tile(image))
        translated = self.generators[direction](self._tile(image) * 2 - 1)
        return to_uint8(self.core(translated))

    def core(self, image: Tensor) -> Tensor:
        """Cut the core (..., core, core) out of tiles (..., tile, tile)."""
        inside = slice(self.halo_px, self.halo_px + self.core_px)
        return image[..., inside, inside]

    def forward(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Score tiles of shape (B, 3, tile, tile) in [0, 1]; None = stain missing.

        Raises
        ------
        UsageError
            If both stains are missing or a tile has another size.
        """
        synthetic_ihc = None if he is None else self.synthesize(he)
        synthetic_he = None
        if he is None and ihc is not None and IHC_TO_HE in self.generators:
            synthetic_he = self.synthesize(ihc, IHC_TO_HE)
        cores = {
            stain: self.core(self._tile(image))
            for stain, image in ((Stain.HE, he), (Stain.IHC, ihc))
            if image is not None
        }
        fake = synthetic_ihc if ihc is None else synthetic_he
        if len(cores) == 1 and self.policy == "gan" and fake is not None:
            (given,) = cores
            judged = self._judge(given, cores[given], fake.float() / 255)
        else:
            judged = self._score(cores)
        return TileOutput(
            synthetic_ihc=synthetic_ihc,
            synthetic_he=synthetic_he,
            distance=self._distance(cores),
            **judged,
        )

    def _score(self, cores: Mapping[Stain, Tensor]) -> dict[str, Any]:
        """Score what is really there."""
        result = self.classifier(cores.get(Stain.HE), cores.get(Stain.IHC))
        arm = Arm.BOTH if len(cores) == 2 else _ALONE[next(iter(cores))]
        count = len(result.logits)
        return {
            **self._maps(result, he_given=Stain.HE in cores),
            "arm": (arm,) * count,
            "gate": (None,) * count,
        }

    def _judge(self, given: Stain, real: Tensor, fake: Tensor) -> dict[str, Any]:
        """Score one stain alone and with the reconstructed other, and choose."""
        he, ihc = (real, fake) if given is Stain.HE else (fake, real)
        features = self.classifier.encode(he, ihc)
        beside = self.classifier.combine(features)
        maps = self._maps(beside, he_given=True)
        if self.gate is None:
            count = len(real)
            arms = (WITH_RECONSTRUCTION[given],) * count
            return {**maps, "arm": arms, "gate": (None,) * count}
        alone = self.classifier.combine({given: features[given]})
        verdicts = self.gate.decide(
            alone.embedding,
            beside.embedding,
            given,
            real=real,
            reconstruction=fake,
        )
        used = torch.tensor([v.accepted for v in verdicts], device=real.device)
        fallback = self._maps(alone, he_given=given is Stain.HE)
        chosen = {
            name: torch.where(
                used.view(-1, *[1] * (value.ndim - 1)), value, fallback[name]
            )
            for name, value in maps.items()
        }
        arms = tuple(
            (WITH_RECONSTRUCTION if verdict.accepted else _ALONE)[given]
            for verdict in verdicts
        )
        return {**chosen, "arm": arms, "gate": tuple(verdicts)}

    def _maps(self, result: ClassifierOutput, *, he_given: bool) -> dict[str, Tensor]:
        return {
            "logits": result.logits,
            "attention": (evidence_sum(result) / self.attention_scale).clamp(0, 1),
            "channel_weights": result.channel_weights,
            "branch_share": branch_share(result, he_given=he_given),
        }

    def _distance(self, cores: Mapping[Stain, Tensor]) -> Tensor:
        """Return (B,), the distance of the most unfamiliar stain of each tile."""
        example = next(iter(cores.values()))
        if self.familiarity is None:
            return example.new_full((len(example),), torch.nan)
        each = [self.familiarity.distance(s, image) for s, image in cores.items()]
        return reduce(torch.fmax, each)

    def _tile(self, image: Tensor) -> Tensor:
        if image.shape[1:] != (3, self.tile_px, self.tile_px):
            raise UsageError(
                f"A tile of shape {tuple(image.shape[1:])} does not fit the model.",
                f"Give tiles of 3 x {self.tile_px} x {self.tile_px}.",
            )
        return image.contiguous(memory_format=torch.channels_last)


def to_uint8(image: Tensor) -> Tensor:
    """Round an image in [-1, 1] to grey values."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def load_network(bundle: Bundle) -> Her2Network:
    """Build the networks of a verified bundle and read their weights.

    Raises
    ------
    BundleError
        If a part that is needed is missing, the card's architecture is unknown,
        its geometry or classes do not fit it, or a weight is missing, unknown,
        of another shape or not a finite number.
    """
    card = bundle.card
    for part in NEEDED_PARTS:
        bundle.weights_path(part)  # refuses a bundle without it
    try:
        parameters: dict[str, Any] = dict(card.parameters)
        config = NetworkConfig.from_dict(parameters["network"])
        network = Her2Network(
            config,
            core_px=card.core_px,
            halo_px=card.halo_px,
            attention_scale=float(parameters["attention_scale"]),
            policy=parameters.get("policy", "gan"),
            ihc_to_he=bundle.has_part(IHC_TO_HE),
            selector=bundle.has_part("selector"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(bundle, f"the card's parameters do not fit: {error}.") from error
    if config.n_classes != len(card.classes):
        raise _refused(
            bundle,
            f"{len(card.classes)} class names stand beside {config.n_classes} logits.",
        )
    gate, network.familiarity = read_statistics(bundle)
    if gate is not None and len(gate.centre) != network.classifier.head.n_inputs:
        raise _refused(
            bundle,
            f"the gate was fitted on {len(gate.centre)} features, the classifier has "
            f"{network.classifier.head.n_inputs}.",
        )
    network.gate = gate
    for part, module in network.parts().items():
        state = load_file(bundle.weights_path(part))
        try:
            module.load_state_dict(state)
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
