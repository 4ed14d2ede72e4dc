import numpy as np

from napari_her2.cells.tumour import tumour_score


def crowd(n, area, elongation, at, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(0, 120, (n, 2)) + at,
        rng.normal(area, area / 8, n),
        np.full(n, elongation),
        np.full(n, 0.5),
        np.zeros(n),
    )


def test_large_round_nuclei_among_their_like_are_tumour():
    tumour, stroma = crowd(120, 65, 1.2, 0), crowd(120, 27, 2.4, 400, seed=1)
    score = tumour_score(
        *(np.concatenate(both) for both in zip(tumour, stroma, strict=True))
    )
    assert (score[:120] > 0).mean() > 0.95
    assert (score[120:] > 0).mean() < 0.05


def test_order_does_not_matter():
    values = crowd(80, 50, 1.3, 0)
    order = np.random.default_rng(2).permutation(80)
    moved = tumour_score(*(value[order] for value in values))
    assert np.allclose(moved, tumour_score(*values)[order])


def test_no_cell_and_one_cell_are_nothing_to_propose_from():
    nothing = np.zeros(0)
    assert tumour_score(np.zeros((0, 2)), nothing, nothing, nothing, nothing).size == 0
    one = tumour_score(np.zeros((1, 2)), *(np.array([v]) for v in (60.0, 1.2, 0.5, 1)))
    assert one.tolist() == [0]
