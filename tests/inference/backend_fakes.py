"""A bundle of the real networks, small enough to run them in a test."""

from dataclasses import replace

import torch
from torch import nn

from napari_her2.models.bundle import Card, write_bundle
from napari_her2.models.card import INTENDED_USE, NO_TUMOUR
from napari_her2.models.config import DEMO
from napari_her2.models.network import Her2Network

CORE_PX, HALO_PX = 64, 64
TILE_PX = CORE_PX + 2 * HALO_PX
TINY = replace(
    DEMO,
    generator_width=4,
    discriminator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)
PARITY = {"mean_difference_grey": 0.1, "same_score_share": 1.0, "n_tiles": 9}


def tiny_bundle(folder, **parameters):
    torch.manual_seed(3)
    network = Her2Network(TINY, core_px=CORE_PX, halo_px=HALO_PX, attention_scale=1.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        network.classifier.head.linear.weight.mul_(20)  # clear calls
    card = Card(
        name="tiny",
        version="1",
        trained_on="nothing",
        mpp=0.5,
        core_px=CORE_PX,
        halo_px=HALO_PX,
        inputs=("he", "ihc"),
        outputs=("synthetic_ihc", "logits"),
        classes=(NO_TUMOUR, "0", "0+", "1+", "2+", "3+"),
        files={},
        licence="BSD-3-Clause",
        intended_use=INTENDED_USE,
        parameters={"network": TINY.to_dict(), "attention_scale": 1.0} | parameters,
        training_command="none",
        seed=1,
        scores={},
    )
    parts = {part: module.state_dict() for part, module in network.parts().items()}
    return write_bundle(folder, card, parts)
