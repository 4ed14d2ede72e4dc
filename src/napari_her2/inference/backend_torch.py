"""torch in less than 32 bits: the generators alone, so that scores keep theirs."""

from __future__ import annotations

from typing import cast

import torch

from napari_her2.inference.backend_generator import core_translator
from napari_her2.models.generator import Generator
from napari_her2.models.network import Her2Network

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def put_torch(network: Her2Network, precision: str) -> None:
    """Let generators of a network compute in ``bf16``, ``fp16`` or ``fp32``."""
    for direction, generator in network.generators.items():
        translator = core_translator(cast("Generator", generator), network.halo_px)
        translator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.translators[direction] = translator.to(_TYPES[precision])
