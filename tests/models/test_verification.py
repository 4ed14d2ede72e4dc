import json
import shutil

import pytest

from napari_her2.core.errors import BundleError
from napari_her2.models.bundle import CARD_NAME
from napari_her2.models.verification import verify_bundle


def test_a_calibration_that_makes_no_sense_refuses_the_bundle(
    tiny_bundle_path, tmp_path
):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle_path, folder)
    assert verify_bundle(folder).card.name == "tiny"
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    card["parameters"]["calibration"] = {"alpha": 2}
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BundleError, match="calibration in its card"):
        verify_bundle(folder)
