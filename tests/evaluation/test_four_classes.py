"""A bundle that does not tell 0 from 0+, on data that do and on data that do not."""

import json
from dataclasses import replace

import pytest
import torch

from napari_her2.evaluation.evaluation import evaluate
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.settings import Settings
from napari_her2.models.bundle import load_bundle, write_bundle
from napari_her2.models.calibration import Calibration
from napari_her2.models.card import ZERO_OR_ULTRALOW
from napari_her2.models.config import NetworkConfig
from napari_her2.models.network import Her2Network


@pytest.fixture(scope="module")
def four_class_bundle(tiny_bundle_path, tmp_path_factory):
    card = load_bundle(tiny_bundle_path).card
    tiny = NetworkConfig.from_dict(card.parameters["network"])
    config = replace(tiny, n_classes=4)
    torch.manual_seed(1)
    network = Her2Network(
        config, core_px=card.core_px, halo_px=card.halo_px, attention_scale=1.0
    )
    return write_bundle(
        tmp_path_factory.mktemp("bundles") / "four",
        replace(
            card,
            name="four",
            classes=(ZERO_OR_ULTRALOW, "1+", "2+", "3+"),
            files={},
            parameters={
                "network": config.to_dict(),
                "attention_scale": 1.0,
                "calibration": Calibration(0.1).to_dict(),
            },
        ),
        {part: module.state_dict() for part, module in network.parts().items()},
    ).path


@pytest.fixture(params=["0 and 0+ told apart", "not separated"])
def pairs(request, painted_folder, tmp_path):
    """The painted pairs, their lowest classes apart or as one."""
    if request.param == "0 and 0+ told apart":
        return painted_folder
    folder = tmp_path / "pairs"
    folder.mkdir()
    for stain in ("he", "ihc"):
        (folder / stain).symlink_to(painted_folder / stain)
    rows = (painted_folder / "labels.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells[1:]:
        row[1] = f'"{ZERO_OR_ULTRALOW}"' if row[1] in {"0", "0+"} else row[1]
    (folder / "labels.csv").write_text("\n".join(",".join(row) for row in cells))
    return folder


def test_it_is_evaluated_in_the_classes_that_both_know(
    four_class_bundle, pairs, tmp_path
):
    settings = Settings(
        bundle=four_class_bundle,
        out=tmp_path / "out",
        data=pairs,
        stages=(Stage.ARMS, Stage.TRANSLATION, Stage.LADDER, Stage.SHIFT),
        ladder_regions=2,
        translation_regions=2,
        shift_regions=2,
        processes=0,
    )
    list(evaluate(settings))
    results = json.loads((settings.out / "results.json").read_text())
    both = results["arms"]["scores"]["H&E and IHC"]
    assert both["classes"] == ["0", "1+", "2+", "3+"]
    assert both["strata"]["scores"] == ["0", "1+", "2+", "3+"]
    assert results["arms"]["data"]["n_regions"] == both["n_regions"] == 8
    # what is not separated cannot be under- or over-called for the other
    assert both["strata"]["direction"]["n_regions_with_tumour"] == 8
    assert {"ladder", "shift", "translation"} <= results.keys()
