from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_her2.app.reading import Reading
from napari_her2.app.state import SessionState
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Evidence, Provenance, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.review.events import RegionKey
from napari_her2.review.journal import Journal
from napari_her2.slides.pyramid_writer import write_pyramid

SLIDES = (("he", "blake2b:01"), ("ihc", "blake2b:02"))
BOX = BoxPx(0, 0, 50, 80)


@pytest.fixture
def suggestion() -> Callable[..., Suggestion]:
    def make(
        region_id: str, score: Score = Score.TWO, evidence: Evidence = Evidence.BOTH
    ) -> Suggestion:
        return Suggestion(
            region_id=region_id,
            call=score,
            probabilities=tuple((s, 1.0 if s is score else 0.0) for s in Score),
            evidence=evidence,
            box_px=BOX,
            n_tiles=3,
            provenance=Provenance(SLIDES, "demo 1", "ab" * 32, "0.1.0"),
        )

    return make


@pytest.fixture
def region() -> Region:
    return Region.from_box("r1", "Region 1", BOX)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def reading(journal: Journal) -> Reading:
    state = SessionState(reader_name="Dr A")
    opened = Reading(state, journal)
    opened.open(RegionKey("case-1", SLIDES))
    return opened


@pytest.fixture
def foreign_slide(tmp_path: Path) -> Path:
    """An H&E slide of noise: the colours of tissue, and nothing else of it."""
    noise = np.random.default_rng(0).normal((200, 120, 180), 25, (600, 600, 3))
    image = noise.clip(0, 255).astype(np.uint8)
    path = tmp_path / "noise.tif"
    write_pyramid(
        path, (600, 600), 0.5, lambda box: image[box.y0 : box.y1, box.x0 : box.x1]
    )
    return path
