import random

import numpy as np
import pytest
from inference_fakes import CLASSES, MPP, bundle_of

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Evidence
from napari_her2.core.region import Region
from napari_her2.core.score import NotAssessable, Score
from napari_her2.inference.reading import TileReader
from napari_her2.inference.result import TileResult
from napari_her2.inference.store import open_store
from napari_her2.inference.suggestion import suggest

TILE = 128
CERTAIN = {
    name: np.eye(len(CLASSES), dtype=np.float32)[k] for k, name in enumerate(CLASSES)
}


@pytest.fixture
def bundle(tmp_path):
    return bundle_of(tmp_path, core_px=TILE)


@pytest.fixture
def judge(he_pair, bundle, tmp_path):
    """Suggest for a box from probabilities given per tile."""

    def judge(box, probabilities):
        store = open_store(he_pair, bundle, root=tmp_path)
        tiles = list(probabilities)
        random.Random(0).shuffle(tiles)
        for tile in tiles:
            values = np.asarray(probabilities[tile], np.float32)
            one = np.zeros(1, np.float32)
            store.write_tile(
                tile, TileResult(Evidence.HE_ONLY, values, one[None], one, 1.0, None)
            )
        return suggest(
            Region.from_box("r", "box", BoxPx(*box)),
            tiles,
            store,
            TileReader(he_pair, bundle.card),
            bundle,
            transform_source="manifest",
        )

    return judge


def test_tiles_without_tumour_take_no_part(judge):
    got = judge(
        (0, 0, 2 * TILE, 2 * TILE),
        {
            (0, 0): CERTAIN["no invasive tumour"],
            (0, 1): CERTAIN["no invasive tumour"],
            (1, 0): CERTAIN["no invasive tumour"],
            (1, 1): CERTAIN["2+"],
        },
    )
    assert got.call is Score.TWO
    assert dict(got.probabilities)[Score.TWO] == 1


def test_a_tile_counts_by_shared_area_and_probability_of_tumour(judge):
    got = judge(
        (0, 0, TILE, TILE + TILE // 4),
        {(0, 0): [0.4, 0.6, 0, 0, 0, 0], (0, 1): [0, 0, 0, 0, 0, 1]},
    )
    shares = dict(got.probabilities)
    np.testing.assert_allclose(shares[Score.ZERO], 0.6 / 0.85, rtol=1e-6)
    np.testing.assert_allclose(shares[Score.THREE], 0.25 / 0.85, rtol=1e-6)
    np.testing.assert_allclose(sum(shares.values()), 1)
    assert got.call is Score.ZERO
    assert got.n_tiles == 2


def test_much_doubtful_tumour_does_not_outweigh_a_little_sure_tumour(judge):
    doubtful = {(r, c): [0.9, 0.1, 0, 0, 0, 0] for r in range(4) for c in range(4)}
    got = judge((0, 0, 500, 512), doubtful | {(2, 2): CERTAIN["3+"]})
    assert got.call is Score.THREE


def test_no_tumour_is_not_assessable_and_never_a_zero(judge):
    got = judge((0, 0, TILE, TILE), {(0, 0): CERTAIN["no invasive tumour"]})
    assert got.call == NotAssessable("no invasive tumour found in this region")
    assert got.probabilities == ()


def test_a_few_micrometres_of_tumour_are_not_enough(judge):
    side_px = round(49 / MPP)
    tumour = {(r, c): CERTAIN["3+"] for r in range(2) for c in range(2)}
    assert isinstance(judge((0, 0, side_px, side_px), tumour).call, NotAssessable)
    assert judge((0, 0, side_px + 4, side_px + 4), tumour).call is Score.THREE


def test_no_tissue_is_said(judge):
    got = judge((0, 0, TILE, TILE), {})
    assert got.call == NotAssessable("no tissue in this region")
    assert got.n_tiles == 0


def test_the_order_of_tiles_changes_no_bit(judge):
    rng = np.random.default_rng(3)
    values = {
        (r, c): rng.dirichlet(np.ones(6)) * [0.2, 1, 1, 1, 1, 1]
        for r in range(4)
        for c in range(5)
    }
    backwards = dict(reversed(values.items()))
    box = (3, 5, 440, 570)
    assert judge(box, values).probabilities == judge(box, backwards).probabilities


def test_provenance_names_all_that_matters(judge, he_pair, bundle):
    made = judge((0, 0, TILE, TILE), {(0, 0): CERTAIN["1+"]}).provenance
    assert made.slides == (("he", he_pair.he.fingerprint),)
    assert (made.bundle, made.bundle_sha256) == ("fake 1", bundle.sha256)
    assert made.direction == "he->ihc"
    assert made.software.startswith("napari-her2 ")
    assert dict(made.parameters)["slide µm/px"] == "0.5"
    assert list(made.parameters) == sorted(made.parameters)
