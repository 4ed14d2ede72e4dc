import numpy as np
import pytest
import torch

from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.generator_stage import GeneratorStage
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


def test_the_generator_is_frozen_in_stage_b(cache, tiny_config):
    generator = GeneratorStage(cache, np.arange(4), tiny_config).generator
    stage = ClassifierStage(cache, np.arange(4), generator, tiny_config)
    before = {name: t.clone() for name, t in generator.state_dict().items()}
    for step in range(4):
        stage.step(step, np.random.default_rng(step))
    assert all(torch.equal(before[n], t) for n, t in generator.state_dict().items())


def test_stains_are_dropped_after_the_warm_up_and_never_both(cache, tiny_config):
    generator = GeneratorStage(cache, np.arange(4), tiny_config).generator
    stage = ClassifierStage(cache, np.arange(4), generator, tiny_config)
    rng = np.random.default_rng(0)
    calm = stage._batch(rng, dropping=False)
    assert not (calm.drop_he | calm.drop_ihc).any()
    batches = [stage._batch(rng, dropping=True) for _ in range(20)]
    he = torch.cat([batch.drop_he for batch in batches])
    ihc = torch.cat([batch.drop_ihc for batch in batches])
    assert not (he & ihc).any()
    assert 0.1 < he.float().mean() < 0.3
    assert 0.1 < ihc.float().mean() < 0.3
