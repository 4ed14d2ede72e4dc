from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_her2.core.errors import UsageError
from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_batch import Missing, crop, draw_batch
from napari_her2.training.classifier_stage import ClassifierStage, _share_of_cycle
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.head_stage import HeadStage
from napari_her2.training.labels import label_of
from napari_her2.training.pooling import PooledCores, pool_parts
from napari_her2.training.progress import TrainStage
from napari_her2.training.tiles import TileCache


@pytest.fixture
def cache(tmp_path, sources):
    cache = TileCache(tmp_path, sources["train_source"])
    list(cache.fill(0))
    return cache


def _statistics(module):
    return {
        name: tensor.clone()
        for name, tensor in module.state_dict().items()
        if "running" in name
    }


def _changed(before, module):
    after = _statistics(module)
    return any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("step", "moves"), [(0, True), (3, False)])
def test_the_generator_ends_with_the_statistics_of_inference(
    cache, tiny_config, step, moves
):
    stage = GeneratorStage(cache, np.arange(4), tiny_config)
    before = _statistics(stage.generator)
    losses = stage.step(step, np.random.default_rng(0))
    assert _changed(before, stage.generator) == moves
    assert set(losses) == {"discriminator", "gan", "pyramid_l1"}


@pytest.fixture
def generators(cache, tiny_config):
    return {
        name: GeneratorStage(
            cache, np.arange(4), tiny_config, TrainStage(name)
        ).generator
        for name in ("he_to_ihc", "ihc_to_he")
    }


@pytest.fixture
def stage(cache, generators, tiny_config):
    return ClassifierStage(cache, np.arange(4), generators, tiny_config)


def test_the_plain_generator_has_no_additions(cache, tiny_config):
    plain = GeneratorStage(
        cache, np.arange(4), tiny_config, TrainStage.PLAIN_HE_TO_IHC
    ).generator
    assert not any("attention" in name for name in plain.state_dict())


def test_each_direction_gets_its_own_source(cache, tiny_config):
    there, back = (
        GeneratorStage(cache, np.arange(4), tiny_config, stage)._batch(
            np.random.default_rng(1)
        )
        for stage in (TrainStage.HE_TO_IHC, TrainStage.IHC_TO_HE)
    )
    # the H&E of these tiles is bright noise, the IHC nearly flat
    assert there[0].std() > 2 * there[1].std()
    assert back[1].std() > 2 * back[0].std()


def test_the_generators_are_frozen_in_stage_b(stage, generators):
    before = {
        name: {key: t.clone() for key, t in part.state_dict().items()}
        for name, part in generators.items()
    }
    for step in range(4):
        stage.step(step, np.random.default_rng(step))
    for name, part in generators.items():
        for key, tensor in part.state_dict().items():
            assert torch.equal(before[name][key], tensor)


def test_stains_are_dropped_after_the_warm_up_and_never_both(stage):
    rng = np.random.default_rng(0)
    calm = stage._batch(stage._missing(0, rng), rng)
    assert not (calm.drop_he | calm.drop_ihc).any()
    batches = [stage._batch(stage._missing(5, rng), rng) for _ in range(40)]
    he = torch.cat([batch.drop_he for batch in batches])
    ihc = torch.cat([batch.drop_ihc for batch in batches])
    assert not (he & ihc).any()
    assert 0.12 < he.float().mean() < 0.38
    assert 0.12 < ihc.float().mean() < 0.38


def test_dropped_stains_are_rebuilt_from_the_other(stage):
    rng = np.random.default_rng(0)
    batch = stage._batch(Missing(*np.ones((3, 4), bool)), rng)
    n = len(batch.labels)
    all_, none = torch.ones(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
    batch = replace(batch, drop_he=none, drop_ihc=all_, rebuild=all_)
    he, ihc = stage._core(batch.he_tile), stage._core(batch.ihc_tile)
    kept, rebuilt = stage._rebuild(batch, he, ihc)
    assert torch.equal(kept, he)
    expected = stage._reconstruct("he_to_ihc", batch.he_tile)
    assert torch.equal(rebuilt, expected)
    assert not torch.equal(rebuilt, ihc)


def test_a_crop_is_labelled_by_its_own_cells(stage, cache):
    rng = np.random.default_rng(3)
    missing = Missing.at_random(rng, 1, 0.0, 1.0)
    batch = draw_batch(cache, np.array([1]), missing, stage.config, rng)
    (counted,) = batch.cells
    assert batch.he_tile.shape == batch.ihc_tile.shape
    assert counted.shape == (1 + 5, 4, 4)
    # every square of 16 px of these tiles holds one cell, all of one pattern
    assert not counted[0].any()
    assert sorted(counted[1:].sum((1, 2))) == [0, 0, 0, 0, 4 * 4]
    assert batch.labels.tolist() == [label_of(cache.cells[1][:4, :4])]


def test_crops_have_their_halo_where_a_stain_is_rebuilt(cache, tiny_config):
    rng = np.random.default_rng(3)
    for rebuilt, side in ((True, 64 + 128), (False, 64)):
        missing = Missing(*np.array([[False, True], [True, False], [rebuilt] * 2]))
        batch = draw_batch(cache, np.arange(4), missing, tiny_config, rng)
        assert batch.he_tile.shape == batch.ihc_tile.shape == (2, 3, side, side)
    middle = crop(batch.he_tile, tiny_config)
    assert torch.equal(middle, batch.he_tile)


def test_stage_b_begins_with_one_stain_a_sample(cache, generators, tiny_config):
    config = replace(
        tiny_config, classifier_steps=8, single_stain_share=0.5, all_stains_share=0.5
    )
    stage = ClassifierStage(cache, np.arange(4), generators, config)
    rng = np.random.default_rng(0)
    alone = [stage._missing(step, rng) for step in range(4) for _ in range(40)]
    he, ihc, rebuilt = (
        np.concatenate([getattr(one, part) for one in alone])
        for part in ("he", "ihc", "rebuilt")
    )
    assert (he ^ ihc).all()
    assert not rebuilt.any()
    assert 0.65 < he.mean() < 0.85
    for step in (4, 5):
        calm = stage._missing(step, rng)
        assert not (calm.he | calm.ihc).any()
    later = [stage._missing(6, rng) for _ in range(40)]
    assert 0 < np.concatenate([one.he | one.ihc for one in later]).mean() < 1


def test_encoders_learn_a_stain_alone(cache, generators, tiny_config):
    config = replace(tiny_config, single_stain_share=0.5, single_stain_ihc_share=1.0)
    stage = ClassifierStage(cache, np.arange(4), generators, config)
    before = {
        stain: deepcopy(encoder.state_dict())
        for stain, encoder in stage.classifier.specific.items()
    }
    losses = stage.step(0, np.random.default_rng(0))
    assert losses["shared_alignment"] == 0
    moved = {
        stain: any(
            not torch.equal(before[stain][name], value)
            for name, value in encoder.state_dict().items()
        )
        for stain, encoder in stage.classifier.specific.items()
    }
    assert moved == {Stain.HE: False, Stain.IHC: True}


def test_the_rate_falls_in_each_cycle_and_ends_at_zero(tiny_config):
    done = [_share_of_cycle(step, 4, 10) for step in range(10)]
    assert done[:4] == [0, 0.25, 0.5, 0.75]
    assert done[4:] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    once = [_share_of_cycle(step, 0, 10) for step in range(10)]
    assert once == pytest.approx(np.arange(10) / 10)


def test_squares_finer_than_the_known_cells_are_refused(cache, tiny_config):
    finer = replace(tiny_config, network=replace(tiny_config.network, encoder_stride=8))
    with pytest.raises(UsageError, match="encoder_stride of 8"):
        ClassifierStage(cache, np.arange(4), {}, finer)


def test_where_no_cells_are_known_none_are_learned(stage):
    known = stage.tiles
    stage.tiles = SimpleNamespace(
        he=known.he, ihc=known.ihc, labels=known.labels, cells=None
    )
    losses = stage.step(0, np.random.default_rng(0))
    assert losses["cells"] == 0
    assert losses["cross_entropy"] > 0
    assert stage.mean_count.weight.grad is None


def test_cells_that_are_known_are_learned(cache, generators, tiny_config):
    longer = replace(
        tiny_config, classifier_steps=60, all_stains_share=1.0, classifier_rate=1e-2
    )
    stage = ClassifierStage(cache, np.arange(4), generators, longer)
    errors = [
        stage.step(step, np.random.default_rng(step))["cells"] for step in range(48)
    ]
    assert np.median(errors[-12:]) < 0.7 * np.median(errors[:12])


def test_pooled_cores_score_as_the_classifier_does(
    stage, cache, generators, tiny_config, tmp_path
):
    stage.classifier.eval()
    pooled = PooledCores(
        tmp_path / "pooled", cache, np.arange(0), np.arange(2), tiny_config
    )
    list(pooled.fill(stage.classifier, generators, stage.mean_count))
    head = HeadStage(pooled, tiny_config)
    head.head.attention, head.head.head = (
        stage.classifier.attention,
        stage.classifier.head,
    )
    core = slice(64, -64)
    he, ihc = (to_tensor([images[1][core, core]]) for images in (cache.he, cache.ihc))
    with torch.inference_mode():
        expected = {
            Arm.BOTH: stage.classifier(he, ihc),
            Arm.HE: stage.classifier(he, None),
            Arm.IHC: stage.classifier(None, ihc),
        }
    for arm, result in expected.items():
        logits = head.logits(torch.tensor([1]), arm)
        assert torch.allclose(logits, result.logits, atol=1e-5)


def test_the_head_learns_from_pooled_cores(cache, tiny_config, tmp_path):
    coarse = replace(tiny_config.network, encoder_stride=32)
    tiny_config = replace(tiny_config, network=coarse)
    pooled = PooledCores(
        tmp_path / "pooled", cache, np.arange(10), np.arange(10, 14), tiny_config
    )
    # one channel per label says it in every arm and every way of pooling
    for number, label in enumerate(pooled.labels):
        pooled.values[number, ..., label] = 1
    assert pooled.cells is None  # a map of 3 x 3 has no quarters
    head = HeadStage(pooled, replace(tiny_config, head_steps=80, head_rate=3e-2))
    first = head.step(0, np.random.default_rng(0))
    for step in range(1, 80):
        last = head.step(step, np.random.default_rng(step))
    assert last["cross_entropy"] < 0.5 * first["cross_entropy"]
    assert {f"validation_accuracy {arm.value}" for arm in Arm} < set(last)


def test_quarters_of_a_core_make_up_the_core(tmp_path, tiny_config, wide):
    config = replace(tiny_config, core_px=128)
    tiles = TileCache(tmp_path / "tiles", wide)
    list(tiles.fill(0))
    pooled = PooledCores(
        tmp_path / "pooled", tiles, np.arange(4), np.arange(4, 6), config
    )
    assert pooled.cells.sum((1, 2)).tolist() == [
        cells[4:12, 4:12].sum() for cells in tiles.cells
    ]
    features = torch.rand(1, 8, 4, 4)
    whole, *quarters = pool_parts(features)
    assert torch.allclose(torch.stack(quarters)[:, 0].mean(0), whole[0])
    assert torch.equal(torch.stack(quarters)[:, 1].amax(0), whole[1])


def test_recombined_cores_are_labelled_by_their_cells(tmp_path, tiny_config, wide):
    config = replace(tiny_config, core_px=128, recombined_share=1.0)
    tiles = TileCache(tmp_path / "tiles", wide)
    list(tiles.fill(0))
    pooled = PooledCores(
        tmp_path / "pooled", tiles, np.arange(4), np.arange(4, 6), config
    )
    for number in range(6):
        pooled.values[number] = number
    head = HeadStage(pooled, config)
    for seed in range(10):
        value, label = head._recombine(0, 0, np.random.default_rng(seed))
        # slide 0 has cores 0 (no tumour) and 1 (every cell unstained)
        assert 0 <= value[0].mean() <= 1
        assert label == (1 if value[0].mean() > 0 else 0)


@pytest.fixture
def wide(sources):
    return replace(sources["train_source"], n_slides=3, core_px=128)
