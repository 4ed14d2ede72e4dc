"""A batch of tiles through the network: images in, plain arrays out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.core.errors import BundleError
from napari_her2.core.records import Arm
from napari_her2.inference.reading import TileInput
from napari_her2.inference.result import UNFAMILIAR_DISTANCE, TileResult
from napari_her2.models.bundle import Bundle
from napari_her2.models.calibration import calibration_of, softmax
from napari_her2.models.network import TileOutput

GPU_BATCH = 8


class Network(Protocol):
    """What the engine needs of a network: ``models.network.Her2Network`` is one."""

    def __call__(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Score a batch, (B, 3, T, T) float in [0, 1]; None where a stain is absent."""
        ...


class BatchRunner:
    """Runs a network on batches of tiles.

    Parameters
    ----------
    network, bundle
        What computes, on ``device`` already, and where it came from.
    device
        A torch device name.
    batch_size
        Tiles per call; 1 on a CPU and 8 on a GPU if None.
    forced
        Whether pixels made of unfamiliar tissue are kept.
    """

    def __init__(
        self,
        network: Network,
        bundle: Bundle,
        device: str,
        batch_size: int | None,
        *,
        forced: bool = False,
    ) -> None:
        self.network = network
        self.bundle = bundle
        self.calibration = calibration_of(bundle)
        self.forced = forced
        self.device = torch.device(device)
        self.batch_size = batch_size or (1 if self._on_cpu else GPU_BATCH)

    @property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def __call__(self, batch: list[TileInput]) -> list[TileResult]:
        """Compute tiles of the same evidence, at most ``batch_size``.

        Raises
        ------
        BundleError
            If the network gives something that is no number.
        """
        # on a GPU the kernel, and with it the rounding, may depend on the batch size
        filled = (
            batch
            if self._on_cpu
            else batch + batch[-1:] * (self.batch_size - len(batch))
        )
        with torch.inference_mode():
            output = self.network(
                _tensor([part.he for part in filled], self.device),
                _tensor([part.ihc for part in filled], self.device),
            )
            logits = output.logits.double().cpu().numpy()
            parts = [
                value.float().cpu().numpy()
                for value in (
                    output.attention,
                    output.channel_weights,
                    output.branch_share,
                )
            ]
            distances = output.distance.double().cpu().numpy()
            image = output.synthetic_ihc
            image = output.synthetic_he if image is None else image
            synthetic = None if image is None else image.cpu().numpy()
        if not all(np.isfinite(v[: len(batch)]).all() for v in (logits, *parts)):
            raise BundleError(
                self.bundle.path,
                f"the network gave values that are no numbers at tile {batch[0].tile}.",
                "Choose another bundle; finished tiles are kept.",
            )
        attention, weights, share = parts
        results = []
        for k, part in enumerate(batch):
            arm, distance = output.arm[k], float(distances[k])
            # what the model makes of tissue it does not know is not shown
            hidden = distance > UNFAMILIAR_DISTANCE and not self.forced
            results.append(
                TileResult(
                    part.evidence,
                    arm,
                    self._probabilities(logits[k], arm),
                    attention[k],
                    weights[k],
                    float(share[k]),
                    None if synthetic is None or hidden else synthetic[k],
                    output.gate[k],
                    distance,
                )
            )
        return results

    def _probabilities(
        self, logits: NDArray[np.float64], arm: Arm
    ) -> NDArray[np.float32]:
        """Turn the logits (K,) of a tile into calibrated probabilities."""
        if self.calibration is None:
            return softmax(logits).astype(np.float32)
        return self.calibration.probabilities_of_logits(logits, arm).astype(np.float32)


def _tensor(
    images: list[NDArray[np.uint8] | None], device: torch.device
) -> Tensor | None:
    """Stack uint8 (T, T, 3) images to (B, 3, T, T) float in [0, 1]."""
    given = [image for image in images if image is not None]
    if not given:
        return None
    stack = given[0][None] if len(given) == 1 else np.stack(given)
    if device.type == "cpu":
        # torch would wake its threads for this, which costs more than the division
        return torch.from_numpy(np.divide(stack, 255, dtype=np.float32)).permute(
            0, 3, 1, 2
        )
    pinned = torch.from_numpy(stack)
    if device.type == "cuda":
        pinned = pinned.pin_memory()  # is copied while the GPU still computes
    moved = pinned.to(device, non_blocking=True)
    return moved.permute(0, 3, 1, 2).float().div_(255)
