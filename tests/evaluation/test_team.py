"""One process or several, one backend or another: the same results."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_her2.core.errors import NotReadyError, UsageError
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.backends import on_backend, open_network, weights_of
from napari_her2.evaluation.evaluation import evaluate
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.region_tasks import Reconstruct
from napari_her2.evaluation.scored_regions import RegionScorer
from napari_her2.evaluation.settings import Settings
from napari_her2.evaluation.team import Team
from napari_her2.evaluation.workspace import Part, Workspace
from napari_her2.models.bundle import load_bundle


@pytest.fixture(scope="module")
def settings(tiny_bundle_path, painted_folder, tmp_path_factory):
    return Settings(
        bundle=tiny_bundle_path,
        out=tmp_path_factory.mktemp("alone"),
        data=painted_folder,
        stages=(Stage.ARMS, Stage.LADDER, Stage.SHIFT),
        ladder_regions=3,
        shift_regions=3,
        processes=0,
    )


def test_several_processes_find_what_one_finds(settings, tmp_path):
    several = replace(settings, out=tmp_path, processes=2)
    for each in (settings, several):
        steps = list(evaluate(each))
        assert [s.step for s in steps if s.work == "arms"] == list(range(1, 9))
    for stage in settings.stages:
        alone, together = (
            json.loads((each.out / "parts" / f"{stage}.json").read_text())
            for each in (settings, several)
        )
        assert alone == together
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["bundle"]["backend"] == "torch-fp32"
    for table in (tmp_path / "tables").glob("*.md"):
        assert "computed by torch-fp32" in table.read_text()


def test_what_fails_in_another_process_fails_here(settings, tmp_path):
    space = Workspace.open(replace(settings, out=tmp_path, processes=2))
    for _ in space.open_regions():
        pass
    task = Reconstruct(Part(), Stain.HE)
    with Team(space) as team:
        assert sorted(region for region, _ in team.work(task, [0, 1])) == [0, 1]
        with pytest.raises(IndexError):
            list(team.work(task, [0, 999]))


def test_a_backend_nobody_vouches_for_is_refused(settings):
    with pytest.raises(NotReadyError, match="openvino-fp32"):
        Workspace.open(replace(settings, backend="openvino-fp32"))
    with pytest.raises(UsageError, match="no backend"):
        Workspace.open(replace(settings, backend="abacus"))


def test_openvino_finds_what_torch_finds(tiny_bundle_path, regions):
    pytest.importorskip("openvino")
    bundle = load_bundle(tiny_bundle_path)
    reference = open_network(bundle, "torch-fp32", "cpu")
    network = open_network(bundle, "openvino-fp32", "cpu")
    found, images = {}, {}
    for name, each in (("torch", reference), ("openvino", network)):
        arms = NetworkArms(each, torch.device("cpu"))
        made = [arms.reconstruct(Stain.HE, regions.tile(Stain.HE, k)) for k in range(4)]
        images[name] = np.stack(made)
        scorer = RegionScorer(regions.first_of_slides(4), arms, {Stain.HE: made})
        found[name] = [scorer(k) for k in range(4)]
    apart = np.abs(images["torch"].astype(int) - images["openvino"].astype(int))
    assert apart.max() <= 1
    for one, other in zip(found["torch"], found["openvino"], strict=True):
        assert one.keys() == other.keys()
        for name in (name for name in one if name.startswith("logits/")):
            assert other[name] == pytest.approx(one[name], abs=2e-3)
    # another classifier beside it takes the same way
    other = on_backend(weights_of(reference), network, "openvino-fp32")
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            other(image, None).logits,
            reference.classifier(image, None).logits,
            rtol=0,
            atol=1e-3,
        )
    assert on_backend(weights_of(network), network, "torch-bf16") is weights_of(network)
