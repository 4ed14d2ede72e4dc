"""Which library and precision compute a bundle, chosen by bundle and machine.

``torch-fp32`` is the reference and always there. Another backend is offered where
it is installed, suits the processor, and the bundle's card says that it agrees
with the reference: at most one grey value of mean difference, and the same score
on every tile that was compared (:mod:`napari_her2.inference.parity`). The name of
the backend is part of a result's identity.

Neither torch nor OpenVINO is imported before networks are loaded.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from napari_her2.core.errors import NotReadyError, UsageError
from napari_her2.inference.identity import REFERENCE_BACKEND
from napari_her2.models.bundle import Bundle

if TYPE_CHECKING:
    from napari_her2.inference.forward import Network

BACKENDS = (
    "openvino-bf16-all",
    "openvino-bf16",
    "torch-fp16",
    "torch-bf16",
    "openvino-fp32",
    "torch-fp32",
)
"""Every backend, fastest first. Less than 32 bits are used for images alone, and for
the features too in those that end with ``-all``."""

BACKEND_VARIABLE = "NAPARI_HER2_BACKEND"
AUTO = "auto"

LARGEST_MEAN_DIFFERENCE_GREY = 1.0

_BF16_FLAGS = {"avx512_bf16", "avx_ne_convert", "amx_bf16", "bf16"}
"""Processor flags, as Linux names them, that mean arithmetic in bf16."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A backend and why it cannot be used; ``reason`` is None where it can."""

    name: str
    reason: str | None = None


def available(bundle: Bundle, device: str = "cpu") -> tuple[Offer, ...]:
    """Return every backend for a bundle on a torch device, fastest first."""
    return tuple(
        Offer(name, hindrance(name, device) or _disagreement(bundle, name, device))
        for name in BACKENDS
    )


def choose(bundle: Bundle, device: str = "cpu", wanted: str = AUTO) -> str:
    """Return the name of the backend to use.

    Parameters
    ----------
    bundle, device
        What shall be computed, and the torch device on which.
    wanted
        A name, or ``auto``: what the environment variable
        ``NAPARI_HER2_BACKEND`` names, else the fastest that can be used.

    Raises
    ------
    UsageError
        If no backend has the name.
    NotReadyError
        If the one that is wanted cannot be used here.
    """
    if wanted == AUTO:
        wanted = os.environ.get(BACKEND_VARIABLE, "") or AUTO
    offers = available(bundle, device)
    if wanted == AUTO:
        return next(offer.name for offer in offers if offer.reason is None)
    for offer in offers:
        if offer.name == wanted and offer.reason is not None:
            raise NotReadyError(
                f"The backend {wanted} cannot be used: {offer.reason}.",
                f"Choose another backend or {AUTO}.",
            )
        if offer.name == wanted:
            return wanted
    raise UsageError(
        f"There is no backend {wanted!r}.", f"Give {AUTO} or {', '.join(BACKENDS)}."
    )


def load(bundle: Bundle, name: str, device: str = "cpu") -> Network:
    """Read a bundle's networks and return them ready to run.

    On a CPU every tile is computed alone, so that its result is the same to the
    last bit whatever tiles it is given with.

    Raises
    ------
    BundleError
        If the bundle's weights do not fit its card.
    NotReadyError
        If the backend cannot run here.
    """
    if reason := hindrance(name, device):
        raise NotReadyError(
            f"The backend {name} cannot be used: {reason}.", "Choose another one."
        )
    from napari_her2.inference.backend_network import TileByTile
    from napari_her2.models.network import load_network

    network = load_network(bundle).to(device)
    library, precision, *rest = name.split("-")
    if library == "openvino":
        from napari_her2.inference.backend_openvino import put_openvino

        put_openvino(network, precision, features=precision if rest else "fp32")
    elif name != REFERENCE_BACKEND:
        from napari_her2.inference.backend_torch import put_torch

        put_torch(network, precision)
    return TileByTile(network) if _on_cpu(device) else network


def parity_key(name: str, device: str = "cpu") -> str:
    """Return under which name the card speaks of a backend on a device."""
    return name if _on_cpu(device) else f"{name}@{device.partition(':')[0]}"


def hindrance(name: str, device: str = "cpu") -> str | None:
    """Return why a backend cannot run here, None where it can."""
    if name not in BACKENDS:
        return "it is unknown"
    library, precision, *_ = name.split("-")
    if library == "openvino":
        if not _on_cpu(device):
            return "OpenVINO is used on the CPU alone"
        if find_spec("openvino") is None:
            return 'OpenVINO is not installed (pip install "napari-her2[openvino]")'
    if _on_cpu(device) and precision == "fp16":
        return "16-bit floating point needs a GPU"
    if _on_cpu(device) and precision == "bf16" and not _processor_has_bf16():
        return "this processor does not compute in bf16"
    return None


def _disagreement(bundle: Bundle, name: str, device: str) -> str | None:
    """Return why the card does not vouch for a backend."""
    if name == REFERENCE_BACKEND:
        return None
    measured = bundle.card.parameters.get("backends")
    try:
        entry = measured[parity_key(name, device)]  # type: ignore[index]
        difference = float(entry["mean_difference_grey"])
        same = float(entry["same_score_share"])
    except (KeyError, TypeError, ValueError):
        return f"this bundle does not say how it compares with {REFERENCE_BACKEND}"
    if not difference <= LARGEST_MEAN_DIFFERENCE_GREY:
        return f"its images differ by {difference:.2g} grey values on the average"
    if not same >= 1:
        return f"it gives another score on {100 * (1 - same):.2g} % of the tiles"
    return None


def _on_cpu(device: str) -> bool:
    return device.partition(":")[0] == "cpu"


@cache
def _processor_has_bf16() -> bool:
    """Whether the processor multiplies bf16 numbers; elsewhere it would be slower."""
    if platform.system() == "Linux":
        try:
            words = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
        except OSError:
            return False
        return not _BF16_FLAGS.isdisjoint(words.split())
    if find_spec("openvino") is None:
        return False
    from napari_her2.inference.backend_openvino import processor_has_bf16

    return processor_has_bf16()
