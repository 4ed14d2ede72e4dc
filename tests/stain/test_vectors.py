import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.stain.vectors import (
    DAB,
    HAEMATOXYLIN,
    StainVectors,
    fit_vectors,
    unmix,
)


def unit(vector):
    return np.array(vector) / np.linalg.norm(vector)


def turned(vector, degrees, towards):
    axis = unit(towards) - (unit(towards) @ unit(vector)) * unit(vector)
    angle = np.deg2rad(degrees)
    return np.cos(angle) * unit(vector) + np.sin(angle) * unit(axis)


def away(one, other):
    return np.rad2deg(np.arccos(np.clip(unit(one) @ unit(other), -1, 1)))


def mixture(blue, brown, n_blue, n_brown, seed=0):
    rng = np.random.default_rng(seed)
    amounts = [rng.uniform(0.3, 1.0, (n, 1)) for n in (n_blue, n_brown)]
    density = np.concatenate([amounts[0] * blue, amounts[1] * brown])
    return (density + rng.normal(0, 0.01, density.shape)).astype(np.float32)


@pytest.mark.parametrize("degrees", [-6, 6])
def test_vectors_follow_the_slide(degrees):
    blue = turned(HAEMATOXYLIN, degrees, (0, 0, 1))
    brown = turned(DAB, degrees, (1, 0, 0))
    found = fit_vectors(mixture(blue, brown, 20000, 20000), Stain.IHC)
    assert away(found.haematoxylin, blue) < 1.5
    assert away(found.second, brown) < 1.5
    assert found.haematoxylin_px > 10000


def test_without_dab_its_vector_is_the_published_one():
    found = fit_vectors(mixture(unit(HAEMATOXYLIN), unit(DAB), 20000, 0), Stain.IHC)
    assert away(found.second, DAB) < 0.5
    assert found.second_px < 100


def test_a_wild_hue_moves_a_vector_16_degrees_at_most():
    far = turned(DAB, 25, (1, 0, 0))
    found = fit_vectors(mixture(unit(HAEMATOXYLIN), far, 5000, 90000), Stain.IHC)
    assert away(found.second, DAB) <= 16.1


def test_no_tissue_gives_the_published_vectors():
    empty = np.zeros((0, 3), np.float32)
    assert fit_vectors(empty, Stain.HE) == StainVectors.published(Stain.HE)


def test_amounts_come_back():
    vectors = StainVectors.published(Stain.IHC)
    amounts = np.random.default_rng(1).uniform(0, 1, (8, 9, 2)).astype(np.float32)
    density = amounts @ np.array([vectors.haematoxylin, vectors.second], np.float32)
    blue, brown = unmix(density, vectors)
    assert blue == pytest.approx(amounts[..., 0], abs=1e-4)
    assert brown == pytest.approx(amounts[..., 1], abs=1e-4)
