import numpy as np
import pytest

from napari_her2.evaluation.dab import dab_density, overlap_sums, positive_shares

DAB = np.array([0.268, 0.570, 0.776])
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])


def stained(density: np.ndarray) -> np.ndarray:
    return np.rint(255 * 10**-density).astype(np.uint8)


@pytest.mark.parametrize("wanted", [0.1, 0.4, 0.8])
def test_density_comes_back_beside_haematoxylin(wanted):
    dab = DAB / np.linalg.norm(DAB)
    blue = HAEMATOXYLIN / np.linalg.norm(HAEMATOXYLIN)
    image = stained(np.broadcast_to(wanted * dab + 0.3 * blue, (4, 4, 3)))
    assert dab_density(image).mean() == pytest.approx(wanted, abs=0.02)
    assert dab_density(stained(np.broadcast_to(0.5 * blue, (4, 4, 3)))).max() < 0.02


def test_blocks_hold_positive_shares_and_ignore_the_rest():
    density = np.zeros((130, 70), np.float32)
    density[:32, :64] = 1
    shares = positive_shares(density)
    assert shares.shape == (2, 1)
    assert shares.ravel().tolist() == [0.5, 0]


def test_a_shift_below_a_block_costs_little_and_a_wrong_place_everything():
    real = np.zeros((128, 128), np.float32)
    real[10:40, 10:40] = 1
    moved, elsewhere = np.roll(real, 8, 0), np.roll(real, 64, 0)
    shares = positive_shares(real)
    same = overlap_sums(shares, positive_shares(moved))
    assert same[0] / same[1] == pytest.approx(1)
    away = overlap_sums(shares, positive_shares(elsewhere))
    assert away[0] == 0
