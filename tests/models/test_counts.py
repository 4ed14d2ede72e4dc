"""Cells counted on the fused map, and what the head makes of them."""

import pytest
import torch

from napari_her2.models.classifier import Her2Classifier, cells_of, masked_mean
from napari_her2.models.config import REFERENCE
from napari_her2.models.head import DualPathHead, count_features, dual_path


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.rand(2, 3, 96, 96), torch.rand(2, 3, 96, 96)


def test_chances_of_cells_leave_room_for_none():
    cells = cells_of(torch.randn(2, 6, 4, 4))
    assert cells.shape == (2, 5, 4, 4)
    assert ((cells > 0) & (cells < 1)).all()
    assert (cells.sum(1) < 1).all()


def test_the_published_network_counts_nothing():
    with torch.device("meta"):
        network = Her2Classifier(REFERENCE)
        assert network(torch.empty(1, 3, 64, 64), None).cell_logits is None
    assert network.count is None
    assert network.head.hidden is None
    assert network.head.n_inputs == 512


def test_the_head_sees_what_is_counted(images, tiny):
    torch.manual_seed(0)
    network = Her2Classifier(tiny).eval()
    result = network(*images)
    assert result.cell_logits.shape == (2, 6, 6, 6)
    counted = cells_of(result.cell_logits).mean((2, 3))
    assert torch.equal(result.embedding[:, -5:], count_features(counted))
    assert torch.equal(result.embedding[:, :-5], dual_path(result.attended))
    with torch.no_grad():
        network.count.bias[1:] += 3
    assert not torch.allclose(network(*images).logits, result.logits)


def test_count_features_have_a_gradient_where_nothing_is_counted():
    nothing = torch.zeros(1, 5, requires_grad=True)
    count_features(nothing).sum().backward()
    assert torch.isfinite(nothing.grad).all()


def test_the_masked_mean_is_that_of_the_stains_that_are_there(images, tiny):
    torch.manual_seed(0)
    network = Her2Classifier(tiny).eval()
    he, ihc = images
    drop = torch.tensor([False, True])
    both = network.encode(he, ihc)
    each = [features.fused for features in both.values()]
    assert torch.allclose(masked_mean(both), sum(each) / 2)
    dropped = masked_mean(network.encode(he, ihc, drop_ihc=drop))
    assert torch.allclose(dropped[0], (sum(each) / 2)[0], atol=1e-6)
    assert torch.allclose(dropped[1], each[0][1], atol=1e-6)
    assert torch.equal(masked_mean(network.encode(he, None)), each[0])


def test_a_hidden_layer_follows_lines_that_one_layer_cannot():
    """Positive in the middle of one feature only, as 0+ lies between 0 and 1+."""
    points = torch.linspace(-1, 1, 41)[:, None].repeat(1, 2)
    truth = (points[:, 0].abs() < 0.4).long()
    reached = {}
    for hidden in (0, 16):
        torch.manual_seed(1)
        head = DualPathHead(1, 2, 0.0, hidden=hidden)
        adam = torch.optim.Adam(head.parameters(), 0.05)
        for _ in range(200):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(head(points), truth).backward()
            adam.step()
        reached[hidden] = (head(points).argmax(1) == truth).float().mean().item()
    assert reached[16] > 0.95
    assert reached[0] < 0.8
