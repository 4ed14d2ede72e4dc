import os
import subprocess
import sys
from dataclasses import fields
from importlib.util import find_spec

import pytest
import torch
from backend_fakes import PARITY, TILE_PX, tiny_bundle

from napari_her2.core.errors import NotReadyError, UsageError
from napari_her2.core.records import Arm
from napari_her2.inference import backend
from napari_her2.models.network import load_network

RUNNABLE = [name for name in backend.BACKENDS if backend.hindrance(name) is None]
OTHERS = [name for name in RUNNABLE if name != "torch-fp32"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module", params=RUNNABLE)
def network(request, bundle):
    return backend.load(bundle, request.param)


@pytest.fixture(scope="module")
def tiles():
    torch.manual_seed(4)
    shape = (3, 3, TILE_PX, TILE_PX)
    return [torch.rand(shape).round(decimals=2) for _ in range(2)]


@pytest.fixture(autouse=True)
def no_choice_in_the_environment(monkeypatch):
    monkeypatch.delenv(backend.BACKEND_VARIABLE, raising=False)


def with_parity(tmp_path, *names, **changes):
    measured = dict.fromkeys(names, PARITY | changes)
    return tiny_bundle(tmp_path / "measured", backends=measured)


def same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, torch.Tensor):
            assert torch.equal(a.nan_to_num(7), b.nan_to_num(7)), field.name
        else:
            assert a == b, field.name


def test_without_measurements_only_the_reference_is_used(bundle):
    offers = {offer.name: offer.reason for offer in backend.available(bundle)}
    assert [name for name, reason in offers.items() if reason is None] == ["torch-fp32"]
    assert "16-bit" in offers["torch-fp16"]
    assert backend.choose(bundle) == "torch-fp32"


def test_the_fastest_that_agrees_is_chosen(tmp_path):
    assert backend.choose(with_parity(tmp_path, *RUNNABLE)) == RUNNABLE[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mean_difference_grey": 1.2}, "1.2 grey values"),
        ({"mean_difference_grey": float("nan")}, "grey values"),
        ({"same_score_share": 0.98}, "2 % of the tiles"),
        ({"same_score_share": "all"}, "does not say"),
        ({"mean_difference_grey": None}, "does not say"),
    ],
)
def test_one_that_disagrees_is_not_offered(tmp_path, monkeypatch, changes, reason):
    monkeypatch.setattr(backend, "hindrance", lambda name, device: None)
    bundle = with_parity(tmp_path, "torch-bf16", **changes)
    assert backend.choose(bundle) == "torch-fp32"
    with pytest.raises(NotReadyError, match=reason):
        backend.choose(bundle, wanted="torch-bf16")


@pytest.mark.parametrize("broken", [None, [], "fast", {"torch-bf16": 3}])
def test_a_card_that_makes_no_sense_offers_nothing(tmp_path, broken):
    bundle = tiny_bundle(tmp_path / "broken", backends=broken)
    assert backend.choose(bundle) == "torch-fp32"


def test_the_environment_decides_where_nothing_else_does(bundle, monkeypatch):
    monkeypatch.setenv(backend.BACKEND_VARIABLE, "torch-fp32")
    assert backend.choose(bundle) == "torch-fp32"
    monkeypatch.setenv(backend.BACKEND_VARIABLE, "abacus")
    with pytest.raises(UsageError, match="abacus"):
        backend.choose(bundle)
    assert backend.choose(bundle, wanted="torch-fp32") == "torch-fp32"


def test_what_is_not_installed_is_said(bundle, monkeypatch):
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    with pytest.raises(NotReadyError, match="not installed"):
        backend.choose(bundle, wanted="openvino-fp32")
    with pytest.raises(NotReadyError, match="not installed"):
        backend.load(bundle, "openvino-fp32")


def test_a_gpu_has_measurements_of_its_own(tmp_path):
    bundle = with_parity(tmp_path, "torch-bf16", "torch-fp16@cuda")
    assert backend.choose(bundle, "cuda:1") == "torch-fp16"
    offers = {o.name: o.reason for o in backend.available(bundle, "cuda")}
    assert "does not say" in offers["torch-bf16"]
    assert "CPU alone" in offers["openvino-bf16"]


def test_choosing_needs_no_torch_and_no_openvino(bundle):
    script = (
        "import sys; from napari_her2.inference import backend; "
        "from napari_her2.models.bundle import load_bundle; "
        f"print(backend.choose(load_bundle({str(bundle.path)!r}))); "
        "assert not {'torch', 'openvino'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, env=environment
    )
    assert answer.stdout.strip() == b"torch-fp32"


def test_results_do_not_depend_on_the_batch_or_its_order(network, tiles):
    he, ihc = tiles
    with torch.inference_mode():
        together = network(he, None)
        backwards = network(he.flip(0), None)
        for index in range(len(he)):
            alone = network(he[index : index + 1], None)
            for batch, at in ((together, index), (backwards, len(he) - 1 - index)):
                assert torch.equal(batch.synthetic_ihc[at], alone.synthetic_ihc[0])
                assert torch.equal(batch.logits[at], alone.logits[0])
                assert batch.arm[at] == alone.arm[0]
        same(network(he[:1], ihc[:1]), network(he[:1], ihc[:1]))


def test_the_core_does_not_depend_on_what_lies_beyond_the_halo(network, tiles):
    he = tiles[0][:1]
    with torch.inference_mode():
        whole = network(he, None).synthetic_ihc
        spoilt = he.clone()
        spoilt[..., :2, :] = 1 - spoilt[..., :2, :]
        spoilt[..., :, -2:] = 0
        assert torch.equal(network(spoilt, None).synthetic_ihc, whole)


def test_a_shifted_tile_gives_the_same_pixels(network):
    torch.manual_seed(6)
    image = torch.rand(1, 3, TILE_PX + 32, TILE_PX + 32)
    with torch.inference_mode():
        first = network(image[..., :TILE_PX, :TILE_PX], None).synthetic_ihc
        second = network(image[..., 32:, 32:], None).synthetic_ihc
    assert torch.equal(first[..., 32:, 32:], second[..., :32, :32])


def test_the_network_around_the_parts_stays_the_same(network, bundle, tiles):
    """Arms, maps and shares follow the reference, whatever computes."""
    he, ihc = (image[:1] for image in tiles)
    reference = load_network(bundle)
    with torch.inference_mode():
        for given in ((he, ihc), (he, None), (None, ihc)):
            expected, found = reference(*given), network(*given)
            assert found.arm == expected.arm
            for name in ("logits", "attention", "channel_weights", "branch_share"):
                a, b = getattr(expected, name), getattr(found, name)
                assert torch.allclose(a, b, rtol=0.01, atol=0.03), name
            for name in ("synthetic_ihc", "synthetic_he"):
                a, b = getattr(expected, name), getattr(found, name)
                if a is None:
                    assert b is None
                else:
                    assert (a.int() - b.int()).abs().float().mean() <= 1


def test_real_images_are_scored_in_32_bits_unless_the_name_says_otherwise(
    bundle, tiles
):
    he, ihc = (image[:1] for image in tiles)
    with torch.inference_mode():
        expected = load_network(bundle)(he, ihc).logits
        for name in OTHERS:
            found = backend.load(bundle, name)(he, ihc).logits
            bound = 0.05 if name.endswith("-all") else 1e-4
            assert torch.allclose(expected, found, atol=bound), name


@pytest.mark.skipif(
    "openvino-bf16-all" not in RUNNABLE, reason="needs OpenVINO and bf16"
)
def test_features_in_16_bits_are_really_taken_in_16_bits(bundle, tiles):
    he, ihc = (image[:1] for image in tiles)
    with torch.inference_mode():
        whole = backend.load(bundle, "openvino-bf16")(he, ihc).logits
        half = backend.load(bundle, "openvino-bf16-all")(he, ihc).logits
    assert not torch.equal(whole, half)


def test_the_gate_decides_in_every_backend(network, tiles):
    class Never:
        def decide(self, alone, beside, *_, **__):
            assert alone.shape == beside.shape
            return [type("No", (), {"accepted": False})() for _ in alone]

    network.network.gate = Never()
    with torch.inference_mode():
        assert network(tiles[0], None).arm == (Arm.HE,) * 3
    network.network.gate = None


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")
def test_openvino_reports_to_nobody():
    script = (
        "from napari_her2.inference.backend_openvino import processor_has_bf16 as p; "
        "p(); import sys; assert sys.modules['openvino_telemetry'] is None"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
