"""The part of a bundle that holds what was counted: gate and familiarity.

One safetensors file with the tensors of both, named ``gate.*`` and
``familiarity.*``; either may be missing.
"""

from __future__ import annotations

from safetensors.torch import load_file
from torch import Tensor

from napari_her2.core.errors import BundleError
from napari_her2.models.bundle import Bundle
from napari_her2.models.familiarity import Familiarity
from napari_her2.models.gate import Gate

STATISTICS = "statistics"
"""Name of the part."""


def read_statistics(bundle: Bundle) -> tuple[Gate | None, Familiarity | None]:
    """Return gate and familiarity of a bundle, None for what it does not have.

    Raises
    ------
    BundleError
        If the tensors do not fit each other or the card.
    """
    if not bundle.has_part(STATISTICS):
        return None, None
    tensors = load_file(bundle.weights_path(STATISTICS))

    def state(name: str) -> dict[str, Tensor]:
        start = f"{name}."
        return {
            key.removeprefix(start): tensor
            for key, tensor in tensors.items()
            if key.startswith(start)
        }

    settings = bundle.card.parameters
    gate, familiarity = state("gate"), state("familiarity")
    try:
        return (
            Gate.from_state(gate, settings.get("gate")) if gate else None,
            Familiarity.from_state(familiarity, settings.get("familiarity"))
            if familiarity
            else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            bundle.path,
            f"the statistics do not fit: {error}.",
            "Choose another bundle, or train this one again.",
        ) from error


def statistics_state(
    gate: Gate | None, familiarity: Familiarity | None
) -> dict[str, Tensor]:
    """Return the tensors of the part ``statistics`` of a bundle."""
    given = {"gate": gate, "familiarity": familiarity}
    return {
        f"{name}.{key}": tensor
        for name, module in given.items()
        if module is not None
        for key, tensor in module.state().items()
    }
