import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.errors import UsageError
from napari_her2.training.splits import grouped_folds, grouped_split, published_split

pairs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=30, max_size=120
)


@given(pairs, st.integers(0, 3), st.integers(2, 4))
def test_folds_hold_every_tile_once_and_whole_groups(tiles, seed, n_folds):
    labels, groups = np.array(tiles).T
    if len(set(groups.tolist())) < n_folds:
        with pytest.raises(UsageError, match="cannot be dealt"):
            grouped_folds(labels, groups, n_folds, seed=seed)
        return
    folds = grouped_folds(labels, groups, n_folds, seed=seed)
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(tiles)))
    assert all(len(fold) for fold in folds)
    held = [set(groups[fold].tolist()) for fold in folds]
    assert sum(map(len, held)) == len(set(groups.tolist()))


def test_parts_have_their_share_of_every_class():
    groups = np.repeat(np.arange(100), 10)
    labels = np.repeat(np.arange(100) % 4, 10)
    split = grouped_split(labels, groups, validation_share=0.1, test_share=0.2, seed=1)
    for part, share in ((split.train, 0.7), (split.validation, 0.1), (split.test, 0.2)):
        counts = np.bincount(labels[part], minlength=4)
        assert np.abs(counts - 250 * share).max() <= 10
    again = grouped_split(labels, groups, validation_share=0.1, test_share=0.2, seed=1)
    assert np.array_equal(again.test, split.test)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(UsageError, match="leave nothing"):
        grouped_split(
            np.zeros(9, int), np.arange(9), validation_share=0.5, test_share=0.5, seed=0
        )


def test_a_published_test_set_stays_as_it_is():
    splits = np.array(["train"] * 20 + ["test"] * 5)
    labels = np.arange(25) % 2
    split = published_split(splits, labels, np.arange(25), validation_share=0.2, seed=0)
    assert split.test.tolist() == list(range(20, 25))
    assert len(split.validation) == 4
    assert split.is_grouped
    shared = published_split(
        splits, labels, np.arange(25) % 5, validation_share=0.2, seed=0
    )
    assert not shared.is_grouped
    with pytest.raises(UsageError, match="0 to test"):
        published_split(
            splits[:20], labels[:20], np.arange(20), validation_share=0.2, seed=0
        )
