import json

import numpy as np
import pytest

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.evaluation.evaluation import evaluate
from napari_her2.evaluation.folder_regions import open_folder
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.regions import Geometry
from napari_her2.evaluation.settings import Settings


def drained(generator):
    while True:
        try:
            next(generator)
        except StopIteration as done:
            return done.value


def test_images_become_regions_with_slides(painted_folder, tmp_path):
    regions = drained(open_folder(painted_folder, Geometry(64, 64, 0.5), tmp_path))
    assert len(regions) == 8
    assert regions.n_slides == 4
    assert set(regions.classes) <= {"0", "0+", "1+", "2+", "3+"}
    assert regions.core(Stain.HE, 0).shape == (64, 64, 3)
    assert "intervals over slides" in regions.split


def test_a_folder_can_be_evaluated(painted_folder, tiny_bundle_path, tmp_path):
    settings = Settings(
        bundle=tiny_bundle_path,
        out=tmp_path,
        data=painted_folder,
        stages=(Stage.ARMS, Stage.SIGNAL),
        processes=0,
    )
    list(evaluate(settings))
    results = json.loads((tmp_path / "results.json").read_text())
    assert "signal" not in results  # virtual slides only
    assert results["arms"]["data"]["n_regions"] == 8
    confusion = np.array(
        results["arms"]["scores"]["H&E and IHC"]["confusion_rows_truth"]
    )
    assert confusion.sum() == 8


def test_something_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        drained(open_folder(tmp_path / "none", Geometry(64, 64, 0.5), tmp_path))
