import numpy as np
import pytest

from napari_her2.core.errors import UsageError
from napari_her2.training.leakage import CAVEAT, leakage_index, pseudo_slides
from napari_her2.training.splits import grouped_folds

N_SLIDES, PER_SLIDE = 24, 20


@pytest.fixture
def patches():
    """Features of patches that gather around their slide."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(N_SLIDES, 64))
    slide = np.repeat(np.arange(N_SLIDES), PER_SLIDE)
    features = centres[slide] + 0.2 * rng.normal(size=(len(slide), 64))
    return features, slide % 4, slide


def _halves(n, rng):
    order = rng.permutation(n)
    return order[: n // 2], order[n // 2 :]


def test_a_patch_split_leaks_and_a_slide_split_does_not(patches):
    features, labels, slide = patches
    train, test = _halves(len(slide), np.random.default_rng(1))
    leaking = leakage_index(features, labels, train, test)
    assert leaking.index > 0.95
    assert leaking.caveat == CAVEAT
    assert leaking.n_test == len(test)
    assert set(leaking.per_class) == {0, 1, 2, 3}
    train, test = np.flatnonzero(slide < 12), np.flatnonzero(slide >= 12)
    assert leakage_index(features, labels, train, test).index < 0.5


def test_features_without_structure_do_not_leak(patches):
    _, labels, slide = patches
    features = np.random.default_rng(2).normal(size=(len(slide), 64))
    train, test = _halves(len(slide), np.random.default_rng(1))
    assert leakage_index(features, labels, train, test).index < 0.9


def test_pseudo_slides_keep_the_patches_of_a_slide_together(patches):
    features, labels, slide = patches
    groups = pseudo_slides(features, labels)
    assert all(len(set(labels[groups == g])) == 1 for g in np.unique(groups))
    assert all(len(set(groups[slide == s])) == 1 for s in range(N_SLIDES))
    folds = grouped_folds(labels, groups, 4, seed=0)
    rest = np.setdiff1d(np.arange(len(slide)), folds[0])
    assert leakage_index(features, labels, rest, folds[0]).index < 0.5


def test_one_blob_is_cut_to_the_largest_share(patches):
    _, labels, _ = patches
    rng = np.random.default_rng(0)
    # a chain: every patch is next to its neighbour, none far from the next
    angle = np.linspace(0, 3, len(labels))[np.argsort(labels, kind="stable").argsort()]
    features = np.stack([np.cos(angle), np.sin(angle)], 1)
    features += 0.001 * rng.normal(size=features.shape)
    groups = pseudo_slides(features, labels, percentile=50, max_group_share=0.1)
    assert np.bincount(groups).max() <= 48
    assert np.bincount(groups).min() >= 1


def test_what_cannot_be_compared_is_refused(patches):
    features, labels, _ = patches
    some = np.arange(10)
    with pytest.raises(UsageError, match="both sides"):
        leakage_index(features, labels, some, some[:0])
    with pytest.raises(UsageError, match="same label"):
        leakage_index(features, np.zeros_like(labels), some, some + 10)
    with pytest.raises(UsageError, match="not finite"):
        leakage_index(np.full_like(features, np.nan), labels, some, some + 10)
