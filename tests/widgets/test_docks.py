import re
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QTreeWidget, QWidget

from napari_her2.app.pairing import Checked, Landmark, PairingWork
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import (
    RESEARCH_USE,
    Arm,
    Evidence,
    GateVerdict,
    Provenance,
)
from napari_her2.core.region import Region
from napari_her2.core.registration import Registration, RegistrationError
from napari_her2.core.score import NotAssessable, Score
from napari_her2.core.transform import Transform, Warp
from napari_her2.review.events import ReasonCode
from napari_her2.viewer.roles import Role, find
from napari_her2.widgets.assist_dock import AssistDock
from napari_her2.widgets.case_dock import CaseDock
from napari_her2.widgets.compare_dock import real_title
from napari_her2.widgets.forced_banner import (
    CONSEQUENCE,
    FORCED,
    QUESTION,
    UNKNOWN,
)
from napari_her2.widgets.result_card import (
    HIDDEN,
    NAMELESS,
    NONE_TO_HIDE,
    NOTHING,
    READ_GIVEN,
)
from napari_her2.widgets.review_dock import ReviewDock

GOOD = RegistrationError(2.0, 6.0, 90, 100, 3.0)
BAD = RegistrationError(80.0, 140.0, 90, 100, 3.0)


def set_error(desk, error):
    registration = desk.session.state.pair.registration
    desk.session.pairing.absorb(Checked(replace(registration, error=error)))


@pytest.fixture
def dock(qtbot):
    def make(kind, desk):
        made = kind(desk)
        qtbot.addWidget(made)
        made.show()
        return made

    return make


def texts(widget):
    """Every word a dock shows or says in a tooltip."""
    found = []
    for child in [widget, *widget.findChildren(QWidget)]:
        found.append(child.toolTip())
        found.append(child.accessibleDescription())
        if isinstance(child, QLabel | QPushButton):
            found.append(child.text())
        if isinstance(child, QTreeWidget):
            for index in range(child.topLevelItemCount()):
                item = child.topLevelItem(index)
                found += [item.text(column) for column in range(child.columnCount())]
                found += [item.toolTip(column) for column in range(child.columnCount())]
    return [text for text in found if text]


def test_the_case_dock_says_what_is_open(dock, open_desk):
    shown = texts(dock(CaseDock, open_desk))
    assert open_desk.session.state.case.case_id in shown
    assert "600 × 480 px   0.5 µm/px" in shown
    assert "Registration of the manifest" in shown


def test_an_error_is_a_notice_with_its_next_step_and_can_be_put_away(dock, open_desk):
    case = dock(CaseDock, open_desk)
    open_desk.open_paths([open_desk.session.state.case.he.with_name("x.her2case.json")])
    assert "Case: the case cannot be read" in case.notice.text.text()
    assert case.notice.isVisible()
    assert open_desk.session.state.case is not None, "the open case stays open"
    case.notice.put_away.click()
    assert not case.notice.isVisible()


def test_buttons_say_why_they_are_off(dock, desk):
    assist, review = dock(AssistDock, desk), dock(ReviewDock, desk)
    for widget in (*assist.runs.run.values(), review.export):
        assert not widget.isEnabled()
        assert widget.toolTip() == "Open a case first."
    assert not review.decision.confirm.isEnabled()
    assert review.decision.confirm.toolTip()


def test_a_slide_without_scale_turns_every_run_off_until_it_is_given(
    dock, desk, scaleless_slide, tiny_bundle_path
):
    case, assist = dock(CaseDock, desk), dock(AssistDock, desk)
    desk.session.choose_bundle(tiny_bundle_path)
    desk.open_slides(scaleless_slide)
    desk.stage.follow_view()
    assert "scale unknown" in " ".join(texts(case))
    assert not desk.viewer.canvas.overlays.scale_bar.visible
    for widget in assist.runs.run.values():
        assert not widget.isEnabled()
        assert "scale unknown" in widget.toolTip()
    assert assist.runs.reason.isVisible()
    assert "scale unknown" in assist.runs.reason.text()
    (entry,) = [w for w in case.findChildren(QWidget) if hasattr(w, "accept")][:1]
    assert entry.isVisible()
    entry.value.setValue(0.5)
    entry.accept.click()
    desk.stage.follow_view()
    assert not entry.isVisible()
    assert assist.runs.run[RunTarget.SLIDE].isEnabled()
    assert not assist.runs.reason.isVisible()
    assert desk.viewer.canvas.overlays.scale_bar.visible


def test_progress_is_drawn_and_cancel_stands_by(dock, open_desk):
    assist = dock(AssistDock, open_desk)
    session = open_desk.session
    steps = session.begin_run(session.plan(RunTarget.VIEW))
    while session.state.run.n_done < 2:
        session.absorb(next(steps))
    assert assist.runs.cancel.isVisible()
    assert assist.runs.bar.value() == session.state.run.n_done == 2
    assert "of" in assist.runs.status.text()
    assert not assist.runs.run[RunTarget.VIEW].isEnabled()
    steps.close()


def test_the_suggestion_is_withheld_everywhere_until_the_first_read(
    dock, open_desk, run
):
    docks = [dock(kind, open_desk) for kind in (CaseDock, AssistDock, ReviewDock)]
    assist, review = docks[1:]
    run(open_desk)
    (row,) = open_desk.session.state.reviewed
    suggestion = row.record.suggestion
    secrets = [f"{share:.0%}" for _, share in suggestion.probabilities]
    secrets += [getattr(suggestion.call, "meaning", str(suggestion.call))]

    def leaks():
        said = [text for widget in docks for text in texts(widget)]
        said += [f"{x.name} {x.metadata}" for x in open_desk.viewer.layers]
        said.append(open_desk.viewer.status)
        # the meaning of each score is the tooltip of its first-read button
        said = [str(t) for t in said if t not in {s.meaning for s in Score}]
        return [secret for secret in secrets for text in said if secret in text]

    assert HIDDEN in texts(assist)
    assert "hidden" in texts(review)
    assert not assist.result.head.call.text()
    assert not assist.result.bars.accessibleDescription()
    assert leaks() == []
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is None
    assert not assist.overlays.rows[1].check.isEnabled()
    review.first_read.scores[Score.ONE].click()
    assert READ_GIVEN in texts(assist)
    assert not assist.result.head.call.text()
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is None
    review.decision.reveal.click()
    open_desk.stage.refresh_overlays()
    assert leaks(), "the same search finds it once it is revealed"
    assert assist.result.head.call.text()
    assert assist.overlays.rows[1].check.isEnabled()


def test_with_first_reads_switched_off_the_suggestion_shows_at_once(
    dock, open_desk, run
):
    open_desk.session.state.first_read_required = False
    assist = dock(AssistDock, open_desk)
    assert NOTHING in texts(assist)
    run(open_desk)
    assert assist.result.head.call.text()
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is not None


def test_a_reader_overrides_with_a_reason(dock, open_desk, run):
    review = dock(ReviewDock, open_desk)
    run(open_desk)
    review.first_read.scores[Score.ONE].click()
    assert review.first_read.scores[Score.ONE].isChecked()
    review.decision.reveal.click()
    assert not review.decision.override.accept.isEnabled(), "a reason is needed"
    form = review.decision.override
    suggested = open_desk.session.state.selected.suggestion.call
    mine = Score.THREE if suggested is not Score.THREE else Score.TWO
    choose(form.call, mine)
    choose(form.reason, ReasonCode.HETEROGENEITY)
    form.accept.click()
    decision = open_desk.session.state.selected.record.decision
    assert (decision.call, decision.reader.name) == (mine, "Dr Demo")
    assert decision.reason == "heterogeneity"
    assert str(mine) in review.decision.history.text()
    assert not form.accept.isEnabled()
    assert "Reopen it" in form.accept.toolTip()


def test_an_own_read_is_signed_without_the_ai(dock, open_desk, run):
    review = dock(ReviewDock, open_desk)
    run(open_desk)
    assert not review.decision.own_read.isEnabled()
    menu = review.first_read.not_assessable.menu()
    menu.triggered.emit(menu.actions()[0])
    review.decision.own_read.click()
    decision = open_desk.session.state.selected.record.decision
    assert isinstance(decision.call, NotAssessable)
    assert decision.suggestion is None


def test_defer_and_reopen_ask_why(dock, open_desk, run):
    review = dock(ReviewDock, open_desk)
    run(open_desk)
    defer, reopen = review.decision.defer, review.decision.reopen
    defer.menu().triggered.emit(defer.menu().actions()[0])
    assert open_desk.session.state.selected.record.deferral.note == "ISH needed"
    assert "deferred" in texts(review)
    reopen.menu().triggered.emit(reopen.menu().actions()[1])
    assert open_desk.session.state.selected.record.deferral is None


def test_without_a_name_nobody_reads(dock, open_desk, run):
    review, assist = dock(ReviewDock, open_desk), dock(AssistDock, open_desk)
    run(open_desk)
    review.reader.setText("  ")
    review.reader.editingFinished.emit()
    assert NAMELESS in texts(assist)
    for widget in (*review.first_read.scores.values(), review.decision.defer):
        assert not widget.isEnabled()
        assert "Enter your name" in widget.toolTip()


def test_overlays_are_shown_and_faded_from_the_dock(dock, open_desk, run):
    assist = dock(AssistDock, open_desk)
    run(open_desk)
    attention = find(open_desk.viewer.layers, Role.ATTENTION)
    row = assist.overlays.rows[2]
    row.check.click()
    row.opacity.setValue(30)
    assert attention.visible
    assert attention.opacity == pytest.approx(0.3)
    attention.visible = False
    assert not row.check.isChecked()


def test_export_says_what_was_written(dock, open_desk, run, tmp_path):
    review = dock(ReviewDock, open_desk)
    run(open_desk)
    review.export_to(tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert "scores.csv" in written
    assert "scores.csv" in open_desk.session.state.notice.text


def test_the_research_line_is_always_there(dock, desk):
    assert RESEARCH_USE in texts(dock(ReviewDock, desk))


def test_a_deleted_dock_stops_listening(qtbot, open_desk):
    import gc

    from qtpy.QtCore import QCoreApplication, QEvent

    signal = open_desk.session.state.events.case
    before = len(signal)
    review = ReviewDock(open_desk)
    assert len(signal) > before
    review.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    del review
    gc.collect()
    assert len(signal) == before
    open_desk.close_case()


GATE = GateVerdict(True, 0.21, 0.61, 0.82, 0.43, 0.54, "it made the call surer")


@pytest.fixture
def reveal(open_desk, run):
    """Run, and reveal a suggestion that says what a test wants it to say."""

    def reveal(**changes):
        run(open_desk)
        session = open_desk.session
        row = session.state.selected
        suggestion = replace(row.record.suggestion, **changes)
        session.reading.suggest(row.region, suggestion)
        session.reading.first_read(Score.ONE)
        session.reading.reveal()
        assert session.state.selected.suggestion == suggestion
        return suggestion

    return reveal


def test_the_card_tells_set_arm_and_gate(dock, open_desk, reveal):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    made = Provenance((), "b", "ab", "0", (("coverage asked", "0.9"),))
    reveal(
        call=Score.TWO,
        probabilities=((Score.ONE, 0.3), (Score.TWO, 0.7)),
        prediction_set=(Score.ONE, Score.TWO),
        arms=((Arm.HE_RECONSTRUCTED, 0.8), (Arm.HE, 0.2)),
        gate=GATE,
        provenance=made,
    )
    assert card.head.call.text() == "2+"
    assert "1+ or 2+" in card.prediction_set.text()
    assert "90%" in card.prediction_set.toolTip()
    assert "1+ 30%" in card.bars.accessibleDescription()
    assert card.arm.text() == "80% H&E and reconstructed IHC, 20% H&E alone"
    assert "computed from the H&E" in card.arm.toolTip()
    assert card.gate.text() == "Gate: used, it made the call surer"
    for number in ("+0.21", "0.61", "0.82", "0.43", "0.54"):
        assert number in card.gate.toolTip()
    for line in (card.prediction_set, card.arm, card.gate):
        assert line.isVisible()


def test_a_gate_that_set_the_reconstruction_aside_says_so(dock, open_desk, reveal):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    reveal(gate=replace(GATE, accepted=False, reason="it looks untypical"))
    assert card.gate.text() == "Gate: set aside, it looks untypical"


def test_with_both_stains_no_gate_is_spoken_of(dock, open_desk, reveal):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    reveal(call=Score.TWO, probabilities=((Score.TWO, 1.0),), gate=None)
    assert not card.gate.isVisible()
    assert "not calibrated" in card.prediction_set.text()


def test_an_abstention_stands_in_place_of_a_score(dock, open_desk, reveal):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    reveal(call=NotAssessable("too blurred"), probabilities=(), prediction_set=())
    assert card.head.call.text() == "–"
    assert card.meaning.text() == "not assessable: too blurred"
    assert not card.bars.isVisible()
    assert not card.prediction_set.isVisible()


def test_nothing_of_it_is_told_before_the_reveal(dock, open_desk, run):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    run(open_desk)
    for line in (card.prediction_set, card.arm, card.gate):
        assert not line.text()
        assert not line.toolTip()


def test_unfamiliar_tissue_is_told_at_once_and_forced_only_after_a_question(
    dock, open_desk, run, nothing_is_familiar, monkeypatch
):
    assist = dock(AssistDock, open_desk)
    banner = assist.forced
    assert not banner.isVisible()
    run(open_desk)
    assert banner.isVisible()
    assert banner.text.text() == UNKNOWN
    assert NONE_TO_HIDE in texts(assist)

    started = []
    monkeypatch.setattr(open_desk.runner, "start", started.append)
    monkeypatch.setattr(banner, "is_confirmed", lambda: False)
    banner.run_anyway.click()
    assert not open_desk.session.state.forced
    assert started == []
    monkeypatch.setattr(banner, "is_confirmed", lambda: True)
    banner.run_anyway.click()
    assert open_desk.session.state.forced
    assert started == [RunTarget.VIEW]
    assert banner.text.text() == FORCED
    run(open_desk)
    open_desk.session.reading.first_read(Score.ONE)
    open_desk.session.reading.reveal()
    assert "forced" in assist.result.caution.text()
    banner.stop.click()
    assert not open_desk.session.state.forced
    assert banner.text.text() == UNKNOWN


def test_a_slide_that_is_refused_is_told_before_a_run(dock, open_desk):
    assist = dock(AssistDock, open_desk)
    refusal = "H&E cannot be assessed: unfamiliar tissue or stain."
    open_desk.session.refuse((refusal,))
    assert assist.forced.isVisible()
    assert assist.forced.text.text() == refusal
    assert assist.forced.run_anyway.isVisible()
    for widget in assist.runs.run.values():
        assert not widget.isEnabled()
        assert refusal in widget.toolTip()
    assert refusal not in assist.runs.reason.text(), "it is said once"
    open_desk.close_case()
    assert not assist.forced.isVisible()


def test_the_question_has_no_for_an_answer(dock, open_desk, qtbot):
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    assist = dock(AssistDock, open_desk)
    banner = assist.forced
    asked = []

    def answer():
        box = QApplication.activeModalWidget()
        asked.append((box.text(), box.informativeText()))
        box.defaultButton().click()

    QTimer.singleShot(100, answer)
    assert not banner.is_confirmed()
    assert asked == [(QUESTION, CONSEQUENCE)]


def test_a_doubt_about_a_stain_stands_in_the_case_dock(dock, open_desk):
    case = dock(CaseDock, open_desk)
    assert not case.stains.isVisible()
    doubt = "H&E: It was given as H&E but looks like HER2 IHC."
    open_desk.session.state.stain_doubts = (doubt,)
    assert case.stains.isVisible()
    assert case.stains.text() == doubt


def choose(box: QComboBox, value: object) -> None:
    index = next(i for i in range(box.count()) if box.itemData(i) == value)
    box.setCurrentIndex(index)


def test_the_pairing_is_told_in_words_and_a_light(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    assert "is not checked" in panel.state.text()
    set_error(open_desk, GOOD)
    assert "H&E and IHC lie on each other" in panel.state.text()
    assert panel.error.text() == (
        "Error 2.0 µm (median), 6.0 µm (90th percentile) at 90 places"
    )
    set_error(open_desk, BAD)
    assert "do not lie on each other" in panel.state.text()


def on_the_map(*cells):
    """An error with cells (row, col, tissue, error) of 100 µm."""
    return replace(
        GOOD, local=ErrorMap((0.0, 0.0), 100.0, tuple(ErrorCell(*c) for c in cells))
    )


def test_a_bend_that_the_layer_cannot_show_is_told(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    session = open_desk.session
    session.set_view(BoxPx.of_shape(session.state.pair.he.shape))
    assert not panel.bend.isVisible()
    knots = np.zeros((12, 14, 2))
    for peak_um, is_told in ((4.0, False), (20.0, True)):
        knots[4, 4, 0] = peak_um
        warp = Warp((0.0, 0.0), 30.0, knots)
        registration = Registration(Transform("he", "ihc", (warp,)), None, "test")
        session.state.pair = replace(session.state.pair, registration=registration)
        assert panel.bend.isVisible() is is_told
    assert re.search(r"drawn up to \d+ µm off", panel.bend.text())
    # far from the peak there is little to tell
    session.set_view(BoxPx(420, 540, 480, 600))
    assert not panel.bend.isVisible()


def test_regions_that_are_not_carried_to_the_ihc_are_told(open_desk):
    session = open_desk.session
    assert real_title(session.state) == "Real IHC"
    boxes = BoxPx(20, 20, 90, 90), BoxPx(120, 20, 190, 90)
    for n_regions, told in ((1, "one region"), (2, "2 regions")):
        session.set_regions(
            tuple(Region.from_box(str(i), "R", boxes[i]) for i in range(n_regions))
        )
        set_error(open_desk, GOOD)
        assert real_title(session.state) == "Real IHC"
        set_error(open_desk, BAD)
        assert real_title(session.state) == (
            f"Real IHC · without {told}, where the slides lie apart"
        )


def test_the_map_is_told_in_shares_and_shown_on_the_slide(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    set_error(open_desk, GOOD)
    assert not panel.map.isEnabled()
    assert not panel.shares.isVisible()
    set_error(open_desk, on_the_map((0, 0, 0.75, 4.0), (0, 1, 0.25, None)))
    assert panel.shares.isVisible()
    said = QTextDocumentFragment.fromHtml(panel.shares.text()).toPlainText()
    assert said.replace("\xa0", " ") == (
        "Tissue, in squares of 0.1 mm: ● 75% up to 25 µm, ● 25% not checked"
    )
    panel.map.click()
    assert find(open_desk.viewer.layers, Role.ERROR_MAP) is not None
    assert panel.map.isChecked()
    open_desk.viewer.layers.remove(find(open_desk.viewer.layers, Role.ERROR_MAP))
    assert not panel.map.isChecked()


def test_a_suggestion_says_where_the_stains_lie_unchecked(dock, open_desk, reveal):
    assist = dock(AssistDock, open_desk)
    card = assist.result
    reveal(evidence=Evidence.BOTH)
    cells = [(row, col) for row in range(12) for col in range(12)]
    for error_um, words in (
        (4.0, ""),
        (40.0, "H&E and IHC lie up to 40 µm apart here."),
        (None, "How H&E and IHC lie on each other is not checked here."),
    ):
        set_error(open_desk, on_the_map(*((*cell, 1.0, error_um) for cell in cells)))
        assert card.pairing.text() == words
        assert card.pairing.isVisible() == bool(words)


def test_registering_shows_how_far_it_is(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    assert panel.register.isEnabled()
    open_desk.session.pairing.absorb(PairingWork("Registering: aligning", 0.4))
    assert not panel.register.isEnabled()
    assert (panel.bar.isVisible(), panel.bar.value()) == (True, 40)
    assert panel.origin.text() == "Registering: aligning…"
    open_desk.session.pairing.end()
    assert not panel.bar.isVisible()


def test_the_ihc_can_be_moved_and_moved_back(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    assert not panel.earlier.isEnabled()
    panel.by_hand.click()
    state = open_desk.session.state
    before = state.pair.registration
    state.reader_name = "Dr A"
    (right,) = [b for b in panel.hand.findChildren(QPushButton) if b.text() == "→"]
    right.click()
    assert state.pair.registration.method == "moved by hand"
    moved = before.transform.apply([[50.0, 40.0]])
    there = state.pair.he_to_ihc.apply([[50.0, 50.0]])
    assert there == pytest.approx(moved)
    panel.earlier.menu().aboutToShow.emit()
    actions = panel.earlier.menu().actions()
    assert [action.isEnabled() for action in actions] == [False, True]
    actions[1].trigger()
    assert state.pair.registration == before


def test_landmarks_are_listed_with_their_error(dock, open_desk):
    case = dock(CaseDock, open_desk)
    panel = case.pairing
    panel.by_hand.click()
    marks = panel.hand.marks
    assert not marks.fit.isEnabled()
    there = open_desk.session.state.pair.he_to_ihc
    for y, x in ((20.0, 30.0), (200.0, 50.0), (90.0, 220.0)):
        off = np.add(there.apply((y, x)), (3.0, 4.0))
        open_desk.session.pairing.add_landmark(Landmark((y, x), tuple(off)))
    rows = [marks.tree.topLevelItem(row).text(1) for row in range(3)]
    assert rows == ["5 µm"] * 3
    assert marks.fit.isEnabled()
    marks.add.click()
    assert "on the H&E" in marks.hint.text()
    marks.add.click()
    assert not marks.hint.isVisible()
    open_desk.session.state.reader_name = "Dr A"
    marks.fit.click()
    assert open_desk.session.state.pair.registration.method == "3 landmarks"
    assert "H&E and IHC lie on each other" in panel.state.text()
