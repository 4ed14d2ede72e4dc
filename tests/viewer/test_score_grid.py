import numpy as np
import pytest

from napari_her2.app.state import RegionReview
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Evidence, Provenance, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.inference.grid import TileGrid
from napari_her2.models.card import NO_TUMOUR
from napari_her2.review.events import RegionKey, SuggestionMade
from napari_her2.review.record import ReviewRecord
from napari_her2.viewer.score_grid import revealed_tiles, score_grid

CLASSES = (NO_TUMOUR, "0", "0+", "1+", "2+", "3+")
GRID = TileGrid((40, 60), 0.5, 0.5, 10, 0)


def row(name, box, *, is_shown):
    from datetime import UTC, datetime

    suggestion = Suggestion(
        name,
        Score.TWO,
        ((Score.TWO, 1.0),),
        Evidence.BOTH,
        box,
        1,
        Provenance((), "b", "ab", "0"),
    )
    made = SuggestionMade(
        key=RegionKey("case", (), name), utc=datetime.now(UTC), suggestion=suggestion
    )
    record = ReviewRecord(made.key, (made,))
    region = Region.from_box(name, name, box)
    return RegionReview(region, record, suggestion if is_shown else None)


def test_the_most_probable_score_of_a_tumour_tile():
    tiles = np.array([[[0.1, 0.0, 0.1, 0.1, 0.5, 0.2], [0.6, 0.0, 0.0, 0.0, 0.4, 0.0]]])
    grid = score_grid(tiles, CLASSES)
    assert grid[0, 0] == Score.TWO.rank
    assert np.isnan(grid[0, 1]), "a tile without tumour takes no part"


def test_a_tile_that_was_not_computed_has_no_score():
    assert np.isnan(score_grid(np.full((2, 3, 6), np.nan), CLASSES)).all()


@pytest.mark.parametrize("first_read_required", [True, False])
def test_without_a_row_all_or_nothing_is_shown(first_read_required):
    shown = revealed_tiles(GRID, (), first_read_required=first_read_required)
    assert shown.shape == (4, 6)
    assert shown.all() != first_read_required


def test_a_hidden_region_hides_the_tiles_it_shares():
    rows = (
        row("a", BoxPx(0, 0, 20, 30), is_shown=True),
        row("b", BoxPx(0, 20, 20, 60), is_shown=False),
    )
    shown = revealed_tiles(GRID, rows, first_read_required=True)
    expected = np.zeros((4, 6), bool)
    expected[:2, :2] = True
    assert np.array_equal(shown, expected)
