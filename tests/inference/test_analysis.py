"""The whole path with a real (small, untrained) network of a real bundle."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from inference_fakes import bundle_of, pair_of, speckled

from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import RegionDone
from napari_her2.core.records import Evidence
from napari_her2.core.region import Region
from napari_her2.inference.analysis import Analysis
from napari_her2.models.bundle import write_bundle
from napari_her2.models.config import DEMO
from napari_her2.models.network import Her2Network


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory):
    config = replace(
        DEMO,
        generator_width=4,
        discriminator_width=4,
        shared_widths=(4, 4, 8, 8, 8),
        specific_width_mult=0.25,
        feature_width=16,
        attention_width=4,
    )
    torch.manual_seed(1)
    network = Her2Network(config, core_px=64, halo_px=64, attention_scale=1.0)
    folder = tmp_path_factory.mktemp("bundle") / "small"
    parameters = {"network": config.to_dict(), "attention_scale": 1.0}
    card = bundle_of(folder, halo_px=64, parameters=parameters).card
    states = {part: module.state_dict() for part, module in network.parts().items()}
    return write_bundle(folder, replace(card, outputs=("logits",)), states)


@pytest.mark.parametrize(
    ("stains", "evidence"),
    [
        (("he",), Evidence.HE_ONLY),
        (("ihc",), Evidence.IHC_ONLY),
        (("he", "ihc"), Evidence.BOTH),
    ],
)
def test_any_stains_give_finite_results_that_come_back(
    tmp_path, slide, small_bundle, stains, evidence
):
    slides = {
        stain: slide(f"{stain}.tif", speckled((190, 150), k) // 2)
        for k, stain in enumerate(stains)
    }
    pair = pair_of(slides.get("he"), slides.get("ihc"))
    region = Region.from_box("view", "View", BoxPx(0, 0, 190, 150))
    suggestions = []
    for _start in range(2):
        analysis = Analysis(pair, small_bundle, cache_dir=tmp_path / "cache")
        events = list(analysis.run([region]))
        assert events[0].n_tiles == 9
        assert isinstance(events[-1], RegionDone)
        suggestions.append(events[-1].suggestion)
    assert events[0].n_cached == 9
    assert suggestions[0] == suggestions[1]
    assert suggestions[0].evidence is evidence
    for name in ("probabilities", "attention", "channel_weights", "branch_share"):
        assert np.isfinite(analysis.store.map(name)).all()
    shown = analysis.store.synthetic_levels[0][..., 3]
    assert (shown == 255).all()


def test_two_views_agree_to_the_bit(tmp_path, slide, small_bundle):
    pair = pair_of(slide("he.tif", speckled((260, 260), 1)))
    results = []
    for name, box in (("a", (0, 0, 190, 130)), ("b", (64, 64, 260, 260))):
        analysis = Analysis(pair, small_bundle, cache_dir=tmp_path / name)
        list(analysis.run([Region.from_box("view", "View", BoxPx(*box))]))
        store = analysis.store
        assert store.is_done((1, 1))
        results.append(
            [store.synthetic_levels[0][64:192, 64:128], *store.probabilities_of((1, 1))]
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
