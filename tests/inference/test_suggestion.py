import random

import numpy as np
import pytest
from inference_fakes import CLASSES, MPP, bundle_of

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import UNFAMILIAR, Arm, Evidence, GateVerdict, LeftOut
from napari_her2.core.region import Region
from napari_her2.core.score import NotAssessable, Score
from napari_her2.inference.reading import TileReader
from napari_her2.inference.result import TileResult
from napari_her2.inference.store import open_store
from napari_her2.inference.suggestion import LIES_APART, NOT_SEPARATED, suggest
from napari_her2.models.calibration import Calibration
from napari_her2.models.card import ZERO_OR_ULTRALOW

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

    def judge(
        box, probabilities, *, forced=False, bundle=bundle, left_out=None, **per_tile
    ):
        store = open_store(he_pair, bundle, forced=forced, root=tmp_path)
        tiles = list(probabilities)
        random.Random(0).shuffle(tiles)
        for tile in tiles:
            values = np.asarray(probabilities[tile], np.float32)
            one = np.zeros(1, np.float32)
            given = {name: by_tile[tile] for name, by_tile in per_tile.items()}
            arm = given.pop("arm", Arm.HE)
            result = TileResult(
                Evidence.HE_ONLY, arm, values, one[None], one, 1.0, **given
            )
            store.write_tile(tile, result)
        return suggest(
            Region.from_box("r", "box", BoxPx(*box)),
            tiles,
            store,
            TileReader(he_pair, bundle.card),
            bundle,
            transform_source="manifest",
            left_out=left_out,
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


ROW = [(0, column) for column in range(4)]
WIDE = (0, 0, TILE, 4 * TILE)


def distances(*values):
    return dict(zip(ROW, values, strict=True))


def test_an_unfamiliar_tile_takes_no_part(judge):
    calls = dict(zip(ROW, [CERTAIN["3+"], *[CERTAIN["1+"]] * 3], strict=True))
    got = judge(WIDE, calls, distance=distances(7.0, 0.5, 1.0, np.nan))
    assert got.call is Score.ONE
    assert got.probabilities[-1] == (Score.THREE, 0.0)
    assert got.n_tiles == 3
    assert dict(got.provenance.parameters)["tiles unfamiliar"] == "1 of 4"
    assert not got.forced


def test_a_region_that_is_mostly_unfamiliar_has_no_score(judge):
    calls = dict.fromkeys(ROW, CERTAIN["3+"])
    half = judge(WIDE, calls, distance=distances(2, 2, 0.1, 0.1))
    assert half.call is Score.THREE
    most = judge(WIDE, calls, distance=distances(2, 2, 2, 0.1))
    assert most.call == UNFAMILIAR
    assert most.probabilities == most.prediction_set == most.arms == ()
    assert (most.n_tiles, most.gate) == (0, None)


def test_unfamiliar_wins_over_no_tumour(judge):
    calls = dict.fromkeys(ROW, CERTAIN["no invasive tumour"])
    assert judge(WIDE, calls, distance=distances(2, 2, 2, 2)).call == UNFAMILIAR


def test_a_forced_run_scores_and_says_so(judge):
    calls = dict.fromkeys(ROW, CERTAIN["3+"])
    got = judge(WIDE, calls, distance=distances(2, 2, 2, 0.1), forced=True)
    assert got.call is Score.THREE
    assert got.forced
    assert got.n_tiles == 4
    assert got.caution.startswith("forced")
    said = dict(got.provenance.parameters)
    assert said["forced"] == "yes"
    assert said["tiles unfamiliar"] == "3 of 4"


def test_arms_share_the_area_that_was_counted(judge):
    arms = [Arm.HE_RECONSTRUCTED, Arm.HE, Arm.HE_RECONSTRUCTED, Arm.HE]
    calls = dict.fromkeys(ROW[:3], CERTAIN["1+"]) | {
        ROW[3]: CERTAIN["no invasive tumour"]
    }
    got = judge(WIDE, calls, arm=dict(zip(ROW, arms, strict=True)))
    (first, share), (second, rest) = got.arms
    assert (first, second) == (Arm.HE_RECONSTRUCTED, Arm.HE)
    assert share == pytest.approx(2 / 3)
    assert rest == pytest.approx(1 / 3)


def test_the_gate_is_summed_up_over_what_was_counted(judge):
    yes = GateVerdict(True, 0.25, 0.5, 0.75, 0.5, 0.5, "a")
    no = GateVerdict(False, -0.5, 0.75, 0.5, 0.5, 0.25, "b")
    gates = dict(zip(ROW, [yes, yes, no, None], strict=True))
    got = judge(WIDE, dict.fromkeys(ROW, CERTAIN["1+"]), gate=gates)
    assert got.gate.accepted
    assert (got.gate.reward, got.gate.confidence_with) == (0.25, 0.75)
    assert got.gate.reason == "it made the call surer"
    alone = judge((0, 3 * TILE, TILE, 4 * TILE), {ROW[3]: CERTAIN["1+"]})
    assert alone.gate is None


def test_the_prediction_set_is_that_of_the_region(judge, tmp_path):
    values = Calibration(0.1, quantile={Arm.HE: 0.95}).to_dict()
    bundle = bundle_of(tmp_path, core_px=TILE, parameters={"calibration": values})
    tile = {(0, 0): [0, 0, 0, 0.4, 0.5, 0.1]}
    got = judge((0, 0, TILE, TILE), tile, bundle=bundle)
    assert got.call is Score.TWO
    assert got.prediction_set == (Score.ONE, Score.TWO)
    assert dict(got.provenance.parameters)["coverage asked"] == "0.9"
    nothing = judge((0, 0, 9, 9), tile, bundle=bundle)
    assert isinstance(nothing.call, NotAssessable)
    assert nothing.prediction_set == ()


def test_a_bundle_without_calibration_gives_no_set(judge):
    got = judge((0, 0, TILE, TILE), {(0, 0): CERTAIN["1+"]})
    assert got.prediction_set == ()
    assert "coverage asked" not in dict(got.provenance.parameters)


@pytest.fixture
def four_classes(tmp_path):
    """A calibrated bundle as BCI's labels give it: 0 and 0+ are one class."""
    calibration = Calibration(0.1, quantile={Arm.HE: 0.95})
    return bundle_of(
        tmp_path,
        core_px=TILE,
        classes=(ZERO_OR_ULTRALOW, "1+", "2+", "3+"),
        parameters={"calibration": calibration.to_dict()},
    )


def test_zero_or_ultralow_is_no_score(judge, four_classes):
    got = judge((0, 0, TILE, TILE), {(0, 0): [0.6, 0.3, 0.1, 0]}, bundle=four_classes)
    assert got.call == NOT_SEPARATED
    assert [score for score, _ in got.probabilities] == [*Score][2:]
    assert [share for _, share in got.probabilities] == pytest.approx([0.3, 0.1, 0])
    assert dict(got.provenance.parameters)[ZERO_OR_ULTRALOW] == "0.600000"
    assert got.prediction_set == ()


def test_its_share_counts_where_another_score_is_called(judge, four_classes):
    got = judge((0, 0, TILE, TILE), {(0, 0): [0.3, 0.1, 0.6, 0]}, bundle=four_classes)
    assert got.call is Score.TWO
    assert dict(got.probabilities)[Score.TWO] == pytest.approx(0.6)
    assert dict(got.provenance.parameters)[ZERO_OR_ULTRALOW] == "0.300000"


@pytest.mark.parametrize(
    ("share", "call"), [(0.4, Score.TWO), (0.6, LIES_APART), (1.0, LIES_APART)]
)
def test_there_is_no_call_where_most_was_left_out(judge, share, call):
    left_out = LeftOut(share, 3, 100.0)
    tiles = {} if share == 1 else {(0, 0): CERTAIN["2+"]}
    got = judge((0, 0, TILE, 2 * TILE), tiles, left_out=left_out)
    assert got.call == call
    assert bool(got.probabilities) is (call is Score.TWO)
    assert got.left_out == left_out
    assert got.caution.endswith(
        f"{100 * share:.0f} % of the tissue left out: H&E and IHC lie more than "
        "100 µm apart there"
    )
