"""Each finding is a row with words, share, mask and, where it blocks, a way out."""

import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
)
from napari_her2.viewer.roles import Role, find
from napari_her2.widgets.quality_list import LOOKING, NOTHING, QualityList

MASK = np.ones((4, 5), bool)
PEN = Finding(FindingKind.PEN, Severity.BLOCK, 0.42, "Pen everywhere.", MASK, 100.0, 50)
SCALE = Finding(FindingKind.SCALE, Severity.NOTE, 0.0, "Scale unknown.")


@pytest.fixture
def listed(open_desk, qtbot):
    made = QualityList(open_desk)
    qtbot.addWidget(made)
    made.show()
    return made


def report(desk, *findings):
    slide = desk.session.state.pair.he
    return QualityReport(Stain.HE, slide.fingerprint, findings, 0.5, 1, 1)


def test_it_says_that_nothing_is_known_yet_and_that_nothing_was_found(listed):
    assert listed.summary.text() == LOOKING
    listed.session.quality.take((report(listed.desk),))
    assert listed.summary.text() == NOTHING
    assert listed.rows == []


def test_a_finding_has_words_a_share_and_a_mask(listed):
    listed.session.quality.take((report(listed.desk, PEN, SCALE),))
    pen, scale = listed.rows
    assert "pen" in pen.title.text()
    assert "42.0%" in pen.title.text()
    assert pen.sentence.text() == f"Blocks the AI: {PEN.sentence}"
    assert scale.mask.isHidden()
    assert not pen.mask.isHidden()
    pen.mask.click()
    assert find(listed.desk.viewer.layers, Role.QUALITY) is not None
    assert pen.mask.text() == "Hide"
    listed.desk.viewer.layers.remove(find(listed.desk.viewer.layers, Role.QUALITY))
    assert pen.mask.text() == "Show", "also when the layer was deleted by hand"


def test_overruling_needs_a_reason_and_is_shown(listed):
    listed.session.quality.take((report(listed.desk, PEN, SCALE),))
    pen, scale = listed.rows
    assert not pen.overrule.isHidden()
    assert scale.overrule.isHidden(), "nothing to overrule"
    pen.overrule.chosen.emit("")
    assert listed.session.state.notice.is_error
    assert listed.session.state.overruled == ()
    pen.overrule.chosen.emit("Seen on the glass slide, readable")
    assert listed.session.state.overruled == (("he", "pen"),)
    assert listed.rows[0].sentence.text().startswith("Overruled")
    assert listed.rows[0].overrule.isHidden()
