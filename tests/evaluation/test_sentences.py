import numpy as np
import pytest

from napari_her2.core.records import Arm
from napari_her2.evaluation.arm_tables import gate_table
from napari_her2.evaluation.gate_scores import gate_scores
from napari_her2.evaluation.scored_regions import ScoredRegions
from napari_her2.evaluation.sentences import headline


@pytest.fixture
def results():
    """The gate on 20 regions of 20 slides; nothing else matters here."""
    n = 20
    first = np.arange(n)
    taken = {
        "agreement/right": first < 20,
        "agreement/foreign": first < 1,
        "reward/right": first < 10,
        "reward/foreign": first < 12,
        "product/right": first < 19,
        "product/foreign": first < 1,
    }
    values = {
        f"{value} value/{which}": np.zeros(n)
        for value in ("agreement", "reward")
        for which in ("right", "foreign")
    }
    gate = gate_scores(
        ScoredRegions(gate={"he": {**taken, **values}}),
        np.zeros(n, int),
        first,
        np.roll(first, 1),
    )
    score = {"accuracy": [0.5, 0.4, 0.6]}
    return {
        "bundle": {
            "name": "b",
            "version": "1",
            "sha256": "0" * 64,
            "training_seed": 1,
            "backend": "torch-fp32",
        },
        "arms": {
            "data": {
                "n_regions": n,
                "n_slides": n,
                "region_px": 64,
                "majority_class": "0",
                "majority_accuracy": 1.0,
                "split": "s",
                "seeds": "s",
            },
            "scores": {Arm.BOTH: score, Arm.HE: score},
            "both_minus": {Arm.IHC: [0.0, 0.0, 0.0]},
            "reconstruction_adds": {},
            "gate": gate,
            "unfamiliar": None,
            "clear": None,
        },
    }


def test_the_goal_is_asked_of_what_the_product_decides(results):
    (said,) = (text for text in headline(results) if text.startswith("The gate"))
    goal, alone = said.split("asked was 0.95 of each: ")
    assert "takes the right reconstruction in 0.950" in goal
    assert "refuses one of another slide in 0.950" in goal
    assert alone.startswith("reached.")
    assert "agreement test alone: 1.000" in alone
    assert "and 0.950" in alone
    assert "reward alone: 0.500" in alone
    assert "and 0.400" in alone


def test_the_table_names_all_three(results):
    table = gate_table(results)
    assert table is not None
    shown = {row[1]: (row[2][0], row[3][0]) for row in table.rows}
    assert shown == {
        "agreement test alone": (1.0, 0.95),
        "reward alone": (0.5, 0.4),
        "as the product decides (both)": (0.95, 0.95),
    }


def test_clear_regions_are_told_beside_all(results):
    results["arms"]["clear"] = {
        "n_regions": 15,
        "n_near": 5,
        "majority_accuracy": 0.4,
        "accuracy": {Arm.BOTH: [0.8, 0.7, 0.9]},
    }
    first, second, *_ = headline(results)
    assert "accuracy 0.500 [0.400, 0.600] on 20 regions" in first
    assert second.startswith("5 of these regions lie so near a cut-off")
    assert "among the other 15 both stains reach 0.800 [0.700, 0.900]" in second
