"""Positive cells among the others: mixed, apart, and where they are densest."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from napari_her2.cells.heterogeneity import (
    DISC_RADIUS_UM,
    _attraction,
    _joins,
    heterogeneity,
)
from napari_her2.core.geometry import BoxUm
from napari_her2.core.membrane import MembranePattern, MembraneShares
from napari_her2.core.score import Stain
from napari_her2.phantom.cells import CellKind, Epithelium
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.terrain import Terrain


def tumour(n=3000, side_um=1500.0, seed=0):
    """Cells at random places of a square."""
    return np.random.default_rng(seed).uniform(0, side_um, (n, 2))


def lattice(side=20, pitch_um=12.0):
    return np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2) * pitch_um


def test_chance_is_that_of_all_ways_to_place_the_positive_cells():
    joins = _joins(tumour(9))
    found = []
    for chosen in combinations(range(9), 4):
        positive = np.zeros(9, bool)
        positive[list(chosen)] = True
        found.append(_attraction(joins, positive))
    attraction, z = np.transpose(found)
    assert attraction.mean() == pytest.approx(0, abs=1e-12)
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=1e-9)


def test_a_cell_is_joined_to_its_nearest_others():
    positions_um = np.stack([np.zeros(8), [0, 1, 2.1, 3.3, 4.6, 6, 7.5, 9.1]], -1)
    joins = _joins(positions_um)
    assert sorted(joins[0]) == [1, 2, 3, 4, 5]
    assert sorted(joins[7]) == [2, 3, 4, 5, 6]
    together = _joins(np.zeros((20, 2)))  # many cells in one place
    assert together.shape == (20, 5)
    assert heterogeneity(np.zeros((60, 2)), np.arange(60) < 30).overall_share == 0.5


def test_two_halves_are_clustered():
    positions_um = tumour()
    found = heterogeneity(positions_um, positions_um[:, 1] < 500)
    assert found.kind == "clustered"
    assert found.overall_share == pytest.approx(1 / 3, abs=0.03)
    assert found.attraction > 0.9
    assert found.z > 50
    assert found.hot_spot_share == 1
    assert found.hot_spot_um[1] < 500 - DISC_RADIUS_UM * 0.5


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.85])
def test_cells_drawn_by_chance_are_scattered(share):
    rng = np.random.default_rng(4)
    positions_um = tumour()
    found = [heterogeneity(positions_um, rng.random(3000) < share) for _ in range(20)]
    assert {each.kind for each in found} == {"scattered"}
    assert np.mean([each.z for each in found]) == pytest.approx(0, abs=0.8)


def test_cells_that_avoid_each_other_are_scattered_too():
    positions_um = lattice()
    board = positions_um.sum(1) / 12 % 2 == 0
    found = heterogeneity(positions_um, board)
    assert found.kind == "scattered"
    assert found.attraction < -0.3


def test_certain_but_slight_clustering_is_scattered():
    positions_um = tumour(40_000, 5000)
    tilt = 0.3 + 0.2 * (positions_um[:, 0] > 2500)
    positive = np.random.default_rng(1).random(40_000) < tilt
    found = heterogeneity(positions_um, positive)
    assert found.z > 10
    assert found.kind == "scattered"


def test_one_small_nest_is_found_and_pointed_at():
    positions_um = tumour()
    nest = np.hypot(*(positions_um - (1100, 400)).T) < 150
    found = heterogeneity(positions_um, nest)
    assert found.kind == "clustered"
    assert found.overall_share < 0.05
    assert np.hypot(*np.subtract(found.hot_spot_um, (1100, 400))) < 120
    inside = np.hypot(*(positions_um - found.hot_spot_um).T) < DISC_RADIUS_UM
    assert found.hot_spot_share == pytest.approx(nest[inside].mean())
    assert found.hot_spot_share > 5 * found.overall_share


def test_a_tumour_that_is_nearly_all_positive_has_none():
    positions_um = tumour()
    patch = np.hypot(*(positions_um - 700).T) < 200
    found = heterogeneity(positions_um, ~patch)
    assert (found.kind, found.overall_share >= 0.9) == ("none", True)
    assert found.attraction > 0.5  # still to be seen
    every = heterogeneity(positions_um, np.ones(3000, bool))
    assert (every.kind, every.hot_spot_share) == ("none", 1)
    assert math.isnan(every.z)
    assert math.isnan(every.attraction)


@pytest.mark.parametrize(
    ("n", "hits", "kind"),
    [
        (0, 0, "too few"),
        (49, 20, "too few"),
        (3000, 0, "too few"),
        (3000, 9, "too few"),
        (50, 10, "clustered"),
        (3000, 10, "clustered"),
    ],
)
def test_few_cells_tell_nothing(n, hits, kind):
    positions_um = tumour(n)
    positive = np.zeros(n, bool)
    positive[np.argsort(positions_um[:, 0] + positions_um[:, 1])[:hits]] = True
    found = heterogeneity(positions_um, positive)
    assert found.kind == kind
    if n:
        assert found.overall_share == hits / n
    else:
        assert math.isnan(found.overall_share)


def test_sparse_cells_have_no_hot_spot():
    found = heterogeneity(lattice(pitch_um=200.0), np.arange(400) < 100)
    assert found.hot_spot_um is None
    assert math.isnan(found.hot_spot_share)
    assert found.kind == "clustered"


def test_order_place_and_turn_change_nothing():
    rng = np.random.default_rng(2)
    positions_um = tumour()
    positive = rng.random(3000) < 0.1 + 0.6 * (positions_um[:, 0] < 600)
    found = heterogeneity(positions_um, positive)
    order = rng.permutation(3000)
    again = heterogeneity(positions_um[order], positive[order])
    assert again.hot_spot_um == pytest.approx(found.hot_spot_um)
    assert replace(again, hot_spot_um=None) == replace(found, hot_spot_um=None)
    turned = heterogeneity(positions_um[:, ::-1] * (1, -1) + 7000, positive)
    y, x = found.hot_spot_um
    assert turned.hot_spot_um == pytest.approx((x + 7000, 7000 - y))
    assert replace(turned, hot_spot_um=None) == replace(found, hot_spot_um=None)


@pytest.mark.parametrize(
    ("clustering", "kind"), [(0.0, "scattered"), (0.9, "clustered")]
)
def test_virtual_tissue_is_told_by_how_it_was_drawn(clustering, kind):
    recipe = draw_recipe(3, width_um=900, height_um=700, mpp=1.0)
    plan = replace(
        recipe.membranes,
        shares=MembraneShares(complete_intense=0.4, faint_incomplete=0.3),
        clustering=clustering,
        cluster_wavelength_um=200.0,
    )
    recipe, box = replace(recipe, membranes=plan), BoxUm(0, 0, 700, 900)
    cells = Epithelium(Terrain(recipe, box, 0.0), box, Stain.IHC)
    invasive = cells.kind == CellKind.INVASIVE
    positive = cells.her2().pattern[invasive] == MembranePattern.COMPLETE_INTENSE
    positions_um = np.stack([cells.y_um[invasive], cells.x_um[invasive]], -1)
    assert heterogeneity(positions_um, positive).kind == kind


@pytest.mark.parametrize(
    ("positions_um", "positive", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4, bool), "do not fit"),
        (np.zeros((3, 3)), np.zeros(3, bool), "do not fit"),
        (np.zeros((3, 2)), np.array(True), "do not fit"),
        (np.zeros((3, 2)), np.zeros(3, int), "mask"),
        (np.full((3, 2), np.nan), np.zeros(3, bool), "finite"),
    ],
)
def test_what_is_no_cell_is_refused(positions_um, positive, message):
    with pytest.raises(ValueError, match=message):
        heterogeneity(positions_um, positive)
