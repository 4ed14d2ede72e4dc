from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_her2.models.bundle import Bundle, Card, write_bundle
from napari_her2.models.card import INTENDED_USE, NO_TUMOUR
from napari_her2.models.config import DEMO, NetworkConfig
from napari_her2.models.network import Her2Network

CORE_PX, HALO_PX = 64, 64

TINY = replace(
    DEMO,
    generator_width=4,
    discriminator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)


@pytest.fixture
def tiny() -> NetworkConfig:
    return TINY


@pytest.fixture
def network() -> Her2Network:
    torch.manual_seed(1)
    return Her2Network(TINY, core_px=CORE_PX, halo_px=HALO_PX, attention_scale=1.0)


@pytest.fixture
def card() -> Card:
    return Card(
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
        parameters={"network": TINY.to_dict(), "attention_scale": 1.0},
        training_command="none",
        seed=1,
        scores={},
    )


@pytest.fixture
def bundle(tmp_path: Path, card: Card, network: Her2Network) -> Bundle:
    return write_bundle(
        tmp_path / "tiny",
        card,
        {part: module.state_dict() for part, module in network.parts().items()},
        {"training.csv": "stage,step,name,value\n"},
    )
