import hashlib

import pytest
import torch

from napari_her2.core.errors import UsageError
from napari_her2.models.adapter import (
    MissingModalityAdapter,
    Pattern,
    TokenClassifier,
)

SHAPE = {
    "image_px": 32,
    "patch_px": 8,
    "width": 16,
    "depth": 2,
    "heads": 2,
    "n_classes": 4,
}


@pytest.fixture
def adapter():
    torch.manual_seed(0)
    adapter = MissingModalityAdapter(12, 3)
    for up in (adapter.up_he_missing, adapter.up_ihc_missing):
        torch.nn.init.normal_(up.weight)
    return adapter


@pytest.fixture
def model():
    """An adapted model in which the adapter does something."""
    torch.manual_seed(1)
    model = TokenClassifier(**SHAPE, rank=2).eval()
    for up in (model.adapter.up_he_missing, model.adapter.up_ihc_missing):
        torch.nn.init.normal_(up.weight)
    return model


@pytest.fixture
def images():
    torch.manual_seed(2)
    return torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32)


def _hash(parameters):
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def test_it_has_9216_weights_at_the_published_size():
    published = MissingModalityAdapter(768, 4)
    assert sum(p.numel() for p in published.parameters()) == 9_216
    assert published.down.weight.std().item() == pytest.approx(1 / 4, rel=0.1)


def test_at_the_start_the_adapted_model_is_the_base_to_the_bit(images):
    torch.manual_seed(1)
    adapted = TokenClassifier(**SHAPE, rank=2).eval()
    base = TokenClassifier(**SHAPE).eval()
    base.load_state_dict(adapted.state_dict(), strict=False)
    for given in (images, (images[0], None), (None, images[1])):
        assert torch.equal(adapted(*given), base(*given))


def test_where_nothing_is_missing_both_projections_act(adapter):
    tokens = torch.randn(2, 5, 12)
    deltas = {
        pattern: adapter(tokens, torch.full((2,), pattern)) for pattern in Pattern
    }
    together = deltas[Pattern.HE_MISSING] + deltas[Pattern.IHC_MISSING]
    assert torch.equal(deltas[Pattern.COMPLETE], together)
    assert torch.equal(
        deltas[Pattern.HE_MISSING], adapter.up_he_missing(adapter.down(tokens))
    )


@pytest.mark.parametrize(
    ("pattern", "acting", "resting"),
    [
        (Pattern.IHC_MISSING, "up_ihc_missing", "up_he_missing"),
        (Pattern.HE_MISSING, "up_he_missing", "up_ihc_missing"),
    ],
)
def test_a_projection_learns_only_from_its_own_pattern(
    adapter, pattern, acting, resting
):
    adapter(torch.randn(2, 5, 12), torch.full((2,), pattern)).square().sum().backward()
    assert getattr(adapter, resting).weight.grad.abs().max() == 0
    assert getattr(adapter, acting).weight.grad.abs().max() > 0


def test_a_mixed_batch_gives_what_each_sample_gives_alone(model, images):
    he, ihc = images
    drop_he = torch.tensor([True, False, False])
    drop_ihc = torch.tensor([False, True, False])
    with torch.no_grad():
        mixed = model(he, ihc, drop_he=drop_he, drop_ihc=drop_ihc)
        alone = torch.cat(
            [
                model(None, ihc[:1]),
                model(he[1:2], None),
                model(he[2:], ihc[2:]),
            ]
        )
    assert torch.allclose(mixed, alone, atol=1e-5)
    assert not torch.allclose(mixed, model(he, ihc), atol=1e-3)


def test_only_adapter_and_head_are_trained(model, images):
    model.freeze_base()
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert {name.split(".")[0] for name in trained} == {"adapter", "head"}
    frozen = [p for p in model.parameters() if not p.requires_grad]
    before = _hash(frozen)
    adapter_before = _hash(model.adapter.parameters())
    adam = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], 5e-3, weight_decay=2e-2
    )
    loss = torch.nn.functional.cross_entropy(model(*images), torch.tensor([0, 1, 2]))
    loss.backward()
    adam.step()
    assert _hash(frozen) == before
    assert _hash(model.adapter.parameters()) != adapter_before


def test_what_stands_in_an_absent_image_is_never_read(model, images):
    he, ihc = images
    spoilt = he.clone()
    spoilt[0] = torch.nan
    drop = torch.tensor([True, False, False])
    logits = model(spoilt, ihc, drop_he=drop)
    logits.sum().backward()
    assert logits.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_a_sample_without_stains_is_refused(model, images):
    everyone = torch.ones(3, dtype=torch.bool)
    with pytest.raises(UsageError):
        model(None, None)
    with pytest.raises(UsageError):
        model(*images, drop_he=everyone, drop_ihc=everyone)
