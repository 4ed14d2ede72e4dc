import numpy as np
import pytest

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.evaluation.regions import (
    UNSEEN_SEED,
    Geometry,
    Regions,
    VirtualRegions,
)
from napari_her2.training.config import TrainingConfig
from napari_her2.training.virtual import VirtualTiles


def test_a_region_is_the_core_of_its_tile(regions: Regions):
    tile, core = regions.tile(Stain.IHC, 3), regions.core(Stain.IHC, 3)
    assert tile.shape == (192, 192, 3)
    assert np.array_equal(core, tile[64:128, 64:128])


def test_partners_come_from_other_slides_each_once(regions: Regions):
    partner = regions.partners()
    assert sorted(partner) == list(range(len(regions)))
    assert (regions.slides[partner] != regions.slides).all()


def test_one_slide_has_no_partner(regions: Regions):
    with pytest.raises(UsageError, match="one slide"):
        regions.first_of_slides(2).__class__(
            regions.tiles, np.array([0, 1]), regions.geometry, "", "", ""
        ).partners()


def test_a_part_holds_whole_slides(regions: Regions):
    part = regions.first_of_slides(5)
    assert part.slides.tolist() == [0, 0, 1, 1]
    assert len(regions.first_of_slides(10_000)) == len(regions)


def test_facts_hold_what_every_table_prints(regions: Regions):
    facts = regions.facts()
    assert facts["n_regions"] == 12
    assert facts["n_slides"] == 6
    assert facts["majority_accuracy"] == round(2 / 12, 5)
    assert facts["seeds"] == "seed 1"


def test_evaluated_slides_are_none_that_training_takes():
    wanted = VirtualRegions(200, 3, 0.5, 1, Geometry(1024, 64, 0.5))
    for seed in range(20):
        config = TrainingConfig(seed=seed)
        for source in (
            VirtualTiles.for_generator(config),
            VirtualTiles.for_training(config),
        ):
            assert source.first_seed + source.n_slides < UNSEEN_SEED
    assert wanted.first_seed >= UNSEEN_SEED
    other = VirtualRegions(200, 3, 0.5, 2, wanted.geometry)
    assert other.first_seed >= wanted.first_seed + wanted.n_slides


def test_virtual_regions_are_rendered_once(tmp_path):
    wanted = VirtualRegions(2, 1, 0.5, 1, Geometry(64, 64, 0.5))
    steps = list(wanted.render(tmp_path, 0))
    assert [step.step for step in steps] == [1, 2]
    assert list(wanted.render(tmp_path, 0)) == []
    opened = wanted.open(tmp_path)
    assert len(opened) == 2
    assert opened.core(Stain.HE, 1).std() > 0
    assert "signal 0.5" in opened.source
