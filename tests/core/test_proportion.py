import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.proportion import wilson


def test_wilson_gives_published_numbers():
    # Newcombe, Stat Med 1998;17:857, table I, method 3
    assert wilson(81, 263).to_json() == pytest.approx(
        [0.30798, 0.2553, 0.3662], abs=1e-4
    )
    assert wilson(15, 148).to_json() == pytest.approx(
        [0.10135, 0.0624, 0.1605], abs=1e-4
    )
    assert wilson(0, 20).to_json() == pytest.approx([0.0, 0.0, 0.1611], abs=1e-4)
    assert wilson(0, 0).to_json() == [None, None, None]


@given(st.integers(1, 5000), st.data())
def test_one_hit_more_moves_the_interval_up(n, data):
    hits = data.draw(st.integers(0, n - 1))
    fewer, more = wilson(hits, n), wilson(hits + 1, n)
    assert 0 <= fewer.low <= fewer.value <= fewer.high <= 1
    assert fewer.low < more.low
    assert fewer.high < more.high
