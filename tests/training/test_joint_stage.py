from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_her2.models.network import to_uint8
from napari_her2.training.classifier_batch import Missing
from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.joint_stage import JointStage, shown
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import run_steps
from napari_her2.training.tiles import TileCache

DIRECTIONS = (TrainStage.HE_TO_IHC, TrainStage.IHC_TO_HE)


@pytest.fixture
def cache(tmp_path, sources):
    cache = TileCache(tmp_path / "tiles", sources["train_source"])
    list(cache.fill(0))
    return cache


@pytest.fixture
def build(cache, tiny_config):
    def build(**settings) -> JointStage:
        config = replace(tiny_config, joint_steps=4, **settings)
        learned, watched = np.arange(12), np.arange(12, 14)
        stages_a = {
            d.value: GeneratorStage(cache, learned, config, d) for d in DIRECTIONS
        }
        generators = {name: stage.generator for name, stage in stages_a.items()}
        stage_b = ClassifierStage(cache, learned, generators, config, watched)
        return JointStage(cache, learned, stages_a, stage_b, config, watched)

    return build


def _weights(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def test_an_image_is_shown_as_at_inference_and_its_gradient_scaled_exactly():
    image = (torch.rand(2, 3, 8, 8) * 2.4 - 1.2).requires_grad_()
    upstream = torch.randn(2, 3, 8, 8)
    for share in (1.0, 0.1, 0.0):
        image.grad = None
        result = shown(image, share)
        result.backward(upstream)
        assert torch.equal(result, to_uint8(image).float() / 255)
        assert torch.equal(image.grad, upstream * 0.5 * share)


def _score_gradients(stage):
    """Return the generators' gradients from the classifier's loss alone."""
    stage.classifier.train()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    batch = stage._batch(Missing.at_random(rng, 8, 0.5, 1.0), rng)
    assert batch.drop_he.any()
    assert batch.drop_ihc.any()
    loss, _ = stage._losses(batch)
    loss.backward()
    return {
        name: torch.cat([p.grad.flatten() for p in generator.parameters()])
        for name, generator in stage.generators.items()
    }


def test_the_generators_get_their_share_of_the_gradient_and_no_more(build):
    settings = {
        "modality_dropout": 0.5,
        "rebuilt_share": 1.0,
        "mixed_precision": False,
        "classifier_batch": 8,
    }
    whole = _score_gradients(build(joint_gradient_share=1.0, **settings))
    tenth = _score_gradients(build(joint_gradient_share=0.1, **settings))
    none = _score_gradients(build(joint_gradient_share=0.0, **settings))
    for name, gradient in whole.items():
        assert gradient.abs().max() > 0
        error = (tenth[name] - 0.1 * gradient).abs().max()
        assert error < 1e-4 * tenth[name].abs().max()
        assert not none[name].any()


def test_both_networks_change_and_rates_are_shares(build, tmp_path, tiny_config):
    stage = build()
    networks = {"classifier": stage.classifier, **stage.generators}
    before = {name: _weights(module) for name, module in networks.items()}
    steps = list(run_steps(stage, tmp_path, seed=1, checkpoint_steps=2))
    assert len(steps) == 4
    for name, module in networks.items():
        assert not torch.equal(before[name], _weights(module)), name
    assert "he_to_ihc pyramid_l1" in steps[0].losses
    assert "validation_macro_f1" in steps[1].losses
    rates = {name: o.param_groups[0]["lr"] for name, o in stage.optimizers.items()}
    share = rates["he_to_ihc generator"] / rates["classifier"]
    expected = 0.1 * tiny_config.generator_rate / tiny_config.classifier_rate
    assert share == pytest.approx(expected)


def test_statistics_of_the_generators_stay(build):
    stage = build()
    buffers = {
        name: tensor.clone()
        for generator in stage.generators.values()
        for name, tensor in generator.named_buffers()
    }
    stage.step(0, np.random.default_rng(0))
    for generator in list(stage.generators.values())[-1:]:
        for name, tensor in generator.named_buffers():
            assert torch.equal(buffers[name], tensor)


def test_stage_c_starts_from_stage_b_and_resumes(build, tmp_path):
    whole = [
        p.losses for p in run_steps(build(), tmp_path / "a", seed=1, checkpoint_steps=2)
    ]
    run = run_steps(build(), tmp_path / "b", seed=1, checkpoint_steps=2)
    next(run), next(run), next(run)
    run.close()
    again = [
        p.losses for p in run_steps(build(), tmp_path / "b", seed=1, checkpoint_steps=2)
    ]
    assert again == whole[2:]
