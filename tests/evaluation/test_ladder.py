import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.comparisons import Comparison
from napari_her2.evaluation.ladder import (
    BOTH,
    CLEAN_ALONE,
    CORRUPTED_ALONE,
    Climber,
    Ladder,
    ladder_scores,
)


@pytest.fixture(scope="module")
def ladder(regions, network):
    import torch

    def brown(he, ihc):
        """Calls by how dark the IHC is: a comparison that is right when clean."""
        dark = 1 - ihc.mean((1, 2, 3))
        levels = torch.tensor([1 - (225 - 29.3 * k) / 255 for k in range(6)])
        return -((dark[:, None] - levels) ** 2) * 1e4

    only_ihc = Comparison("browns", frozenset({Stain.IHC}), _given_none(brown))
    arms = NetworkArms(network, torch.device("cpu"), [only_ihc])
    part = regions.first_of_slides(4)
    made = climb(part, arms)
    assert all(len(logits) == len(part) for logits in made.logits.values())
    return made, part


def climb(part, arms):
    climber = Climber(part, arms)
    return Ladder.of([climber(region) for region in range(len(part))])


def _given_none(score):
    def checked(he, ihc):
        assert he is None  # a comparison gets the stains it asked for and no more
        return score(he, ihc)

    return checked


def test_there_is_a_row_per_stain_corruption_level_and_arm(ladder, classes):
    made, part = ladder
    rows = ladder_scores(made, part.labels, part.slides, classes)
    assert len(rows) == 2 * 3 * 6 * 3 + 3 * 6
    assert {row["arm"] for row in rows} == {
        BOTH,
        CLEAN_ALONE,
        CORRUPTED_ALONE,
        "browns",
    }
    assert all(row["cam_minus"] == [0, 0, 0] for row in rows if row["arm"] == BOTH)
    browns = {
        (row["corruption"], row["level"]): row["accuracy"][0]
        for row in rows
        if row["arm"] == "browns"
    }
    assert browns["blur", 0] == browns["wrong section", 0] == 1
    assert browns["wrong section", 5] < 1


def test_the_other_stain_does_not_change(ladder):
    made, _ = ladder
    clean = {
        key: logits for key, logits in made.logits.items() if key[3] == CLEAN_ALONE
    }
    for (stain, _, _, _), logits in clean.items():
        assert np.array_equal(logits, made.logits[stain, "blur", 0, CLEAN_ALONE])


def test_level_nought_is_the_image_itself(ladder):
    made, _ = ladder
    assert np.array_equal(
        made.logits["he", "blur", 0, BOTH], made.logits["ihc", "blur", 0, BOTH]
    )


def test_the_gate_is_asked_in_both_ways_and_both_are_named(regions, network, classes):
    import torch

    from napari_her2.evaluation.ladder import BOTH_GATED, ladder_gate
    from napari_her2.evaluation.verdicts import Asked
    from napari_her2.models.gate import Gate
    from napari_her2.models.network import Her2Network

    seen = NetworkArms(network, torch.device("cpu"))
    whole = seen.score(seen.encode(Stain.HE, regions.core(Stain.HE, 0)), None)
    width = whole.embedding.shape[1]
    gated = Her2Network(network.config, core_px=64, halo_px=64, attention_scale=1.0)
    gated.load_state_dict(network.state_dict())
    torch.manual_seed(2)
    gated.gate = Gate(
        torch.zeros(width),
        torch.randn(width, 3),
        torch.nn.functional.normalize(torch.randn(3, 6, 3), dim=2),
        torch.ones(3, 6),
        torch.full((3, 6), 50.0),
        torch.tensor([0.0, 2.0]),  # seeing IHC, no H&E agrees enough
    )
    part = regions.first_of_slides(2)
    made = climb(part, NetworkArms(gated, torch.device("cpu")))
    rows = ladder_scores(made, part.labels, part.slides, classes)
    assert set(BOTH_GATED.values()) <= {row["arm"] for row in rows}
    for key in (key for key in made.taken if key[3] == Asked.PRODUCT):
        rung = key[:3]
        agrees, pays, both = (made.taken[*rung, asked] for asked in Asked)
        assert np.array_equal(both, agrees & pays)
        for asked, name in BOTH_GATED.items():
            expected = np.where(
                made.taken[*rung, asked][:, None],
                made.logits[*rung, BOTH],
                made.logits[*rung, CLEAN_ALONE],
            )
            assert np.array_equal(made.logits[*rung, name], expected)
    table = ladder_gate(made)
    assert len(table) == 2 * 3 * 6
    assert all(row["agreement"][0] == 0 for row in table if row["corrupted"] == "he")
    assert any(row["agreement"][0] > 0 for row in table if row["corrupted"] == "ihc")
