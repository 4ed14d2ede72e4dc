"""OpenVINO on the CPU: generators and encoders, each in bf16 or fp32.

Each part is compiled for one tile of the bundle's size. Scores are combined by
the network itself, in torch.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_her2.core.score import Stain
from napari_her2.inference.backend_generator import core_translator
from napari_her2.inference.backend_network import EncodedElsewhere, Maps, StainEncoder
from napari_her2.models.generator import Generator
from napari_her2.models.network import Her2Network

_TRACED_CORE_PX = 64
"""A small tile is enough to record a module's layers."""

_PRECISIONS = {"bf16": "bf16", "fp32": "f32"}


def put_openvino(
    network: Her2Network, precision: str, *, features: str = "fp32"
) -> None:
    """Let OpenVINO compute a network's generators and encoders.

    Parameters
    ----------
    network
        On the CPU.
    precision
        Of the generators: ``bf16`` or ``fp32``.
    features
        Precision of the encoders.
    """
    for direction, generator in network.generators.items():
        translator = core_translator(cast("Generator", generator), network.halo_px)
        network.translators[direction] = _first(
            _Compiled(
                translator,
                network.tile_px,
                precision,
                traced_px=2 * network.halo_px + _TRACED_CORE_PX,
            )
        )
    encoders = {
        stain: _three(
            _Compiled(
                StainEncoder(network.classifier, stain),
                network.core_px,
                features,
                traced_px=_TRACED_CORE_PX,
            )
        )
        for stain in Stain
    }
    network.add_module("classifier", EncodedElsewhere(network.classifier, encoders))


def processor_has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    capabilities = _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


class _Compiled:
    """A module compiled for one image (1, 3, side, side) of float32.

    Images lie channels last in memory, as slides are read, and are not copied.
    """

    def __init__(
        self, module: nn.Module, side_px: int, precision: str, traced_px: int
    ) -> None:
        openvino = _openvino()
        with warnings.catch_warnings():  # shapes are constant here, as intended
            warnings.simplefilter("ignore")
            model = openvino.convert_model(
                _ChannelsLast(module),
                example_input=torch.zeros(1, traced_px, traced_px, 3),
                input=[[1, side_px, side_px, 3]],
            )
        options = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        compiled = openvino.Core().compile_model(model, "CPU", options)
        self._request = compiled.create_infer_request()

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the module's outputs of one image."""
        array = image.permute(0, 2, 3, 1).contiguous().numpy()
        # outputs are copied: the next image is written over them
        results = self._request.infer([array], share_inputs=True)
        return [torch.from_numpy(values) for values in results.values()]


class _ChannelsLast(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> Any:
        return self.module(image.permute(0, 3, 1, 2))


def _first(compiled: _Compiled) -> Callable[[Tensor], Tensor]:
    return lambda image: compiled(image)[0]


def _three(compiled: _Compiled) -> Callable[[Tensor], Maps]:
    def maps(image: Tensor) -> Maps:
        shared, specific, fused = compiled(image)
        return shared, specific, fused

    return maps


def _openvino() -> ModuleType:
    """Import OpenVINO without what tells its makers about each import."""
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault("openvino_telemetry", None)
    import openvino

    return cast("ModuleType", openvino)
