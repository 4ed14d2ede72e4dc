"""The bundle's networks as the product computes them, by the backend it would use."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_her2.inference.backend import load
from napari_her2.inference.backend_network import EncodedElsewhere, TileByTile
from napari_her2.models.bundle import Bundle
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.network import Her2Network


def open_network(bundle: Bundle, backend: str, device: str) -> Her2Network:
    """Read the networks of a bundle, ready to run on a backend.

    Raises
    ------
    BundleError
        If the bundle's weights do not fit its card.
    NotReadyError
        If the backend cannot run here.
    """
    loaded = load(bundle, backend, device)
    # regions are computed one by one, which is all that TileByTile would add
    return cast(
        "Her2Network", loaded.network if isinstance(loaded, TileByTile) else loaded
    )


def weights_of(network: Her2Network) -> nn.Module:
    """Return the classifier with its weights, wherever its encoders are computed."""
    classifier: nn.Module = network.classifier
    return (
        classifier.classifier
        if isinstance(classifier, EncodedElsewhere)
        else classifier
    )


def on_backend(
    classifier: Her2Classifier, network: Her2Network, backend: str
) -> nn.Module:
    """Return another classifier whose encoders the backend computes too, in 32 bits.

    Parameters
    ----------
    classifier
        For regions of the bundle's size.
    network
        The bundle's.
    backend
        A name.
    """
    if backend.partition("-")[0] != "openvino":
        return classifier
    from napari_her2.inference.backend_openvino import put_openvino

    holder = Her2Network(
        network.config,
        core_px=network.core_px,
        halo_px=network.halo_px,
        attention_scale=1.0,
        ihc_to_he=False,
    )
    holder.generators = nn.ModuleDict()
    holder.classifier = classifier
    put_openvino(holder, "fp32")
    return cast("nn.Module", holder.classifier)
