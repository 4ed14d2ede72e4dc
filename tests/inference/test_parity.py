import numpy as np
import pytest
import torch
from backend_fakes import PARITY, TILE_PX, tiny_bundle

from napari_her2.core.errors import UsageError
from napari_her2.inference import backend, parity
from napari_her2.inference.parity import each_way, measure_parity, write_parity
from napari_her2.models.bundle import load_bundle
from napari_her2.models.network import load_network


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny", backends={"older": PARITY})


def pairs(count=2):
    rng = np.random.default_rng(5)
    shape = (TILE_PX, TILE_PX, 3)
    return [
        tuple(rng.integers(0, 256, shape).astype(np.uint8) for _ in range(2))
        for _ in range(count)
    ]


def test_what_agrees_is_measured_written_and_then_chosen(bundle, monkeypatch):
    monkeypatch.delenv(backend.BACKEND_VARIABLE, raising=False)
    runnable = [n for n in backend.BACKENDS if backend.hindrance(n) is None]
    measured = measure_parity(bundle, each_way(pairs()))
    assert list(measured) == runnable[:-1]
    for values in measured.values():
        assert values["n_tiles"] == 6
        assert values["speed_ratio"] > 0
        assert values["mean_difference_grey"] <= 1
        assert values["same_arm_share"] == 1
    written = write_parity(bundle.path, measured)
    assert written == load_bundle(bundle.path)
    modes = {path.stat().st_mode for path in bundle.path.iterdir() if path.is_file()}
    assert len(modes) == 1
    assert written.sha256 != bundle.sha256
    assert written.card.files == bundle.card.files
    assert written.card.parameters["backends"] == {"older": PARITY, **measured}
    agreeing = [n for n in runnable[:-1] if measured[n]["same_score_share"] == 1]
    assert backend.choose(written) == [*agreeing, "torch-fp32"][0]


def test_a_backend_that_differs_is_told_by_how_much(bundle, monkeypatch):
    reference = load_network(bundle)

    def fake(_bundle, name, _device="cpu"):
        def shifted(he, ihc):
            output = reference(he, ihc)
            if name == "torch-fp32":
                return output
            grey = torch.full_like(output.synthetic_ihc, 3)
            odd = he is not None and ihc is not None
            return type(output)(
                **{
                    field: getattr(output, field)
                    for field in output.__slots__
                    if field not in ("synthetic_ihc", "logits", "arm")
                },
                synthetic_ihc=(output.synthetic_ihc.clamp(max=252) + grey),
                logits=-output.logits if odd else output.logits,
                arm=("another",) if odd else output.arm,
            )

        return shifted

    monkeypatch.setattr(parity, "load", fake)
    monkeypatch.setattr(parity, "hindrance", lambda name, device: None)
    ((he, ihc),) = pairs(1)
    (found,) = measure_parity(bundle, [(he, ihc), (he, None)], ["torch-bf16"]).values()
    assert found["max_difference_grey"] == 3
    assert 2 < found["mean_difference_grey"] <= 3
    assert found["same_score_share"] == found["same_arm_share"] == 0.5
    assert found["largest_logit_change"] > 0


def test_nothing_to_compare_is_said(bundle):
    with pytest.raises(UsageError, match="no tile"):
        measure_parity(bundle, [], [])
    with pytest.raises(UsageError, match="GPU"):
        measure_parity(bundle, each_way(pairs(1)), ["torch-fp16"])
