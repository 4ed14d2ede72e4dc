import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal

from napari_her2.app.first_look import SlidesRefused
from napari_her2.app.pairing import Checked
from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.cli import main
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.errors import BundleError, CaseError, NotReadyError, UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import StainsDoubted, TileDone
from napari_her2.core.records import UNFAMILIAR, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits, RegistrationError
from napari_her2.core.score import Stain, call_to_text
from napari_her2.models.bundle import shipped_bundle
from napari_her2.review.journal import Journal
from napari_her2.slides.slide import open_slide

BOX = BoxPx(90, 70, 290, 370)


@pytest.fixture
def session(journal: Journal, own_folders: Path) -> Iterator[Session]:
    opened = Session(journal, cache_dir=own_folders / "cache-window")
    opened.state.reader_name = "Dr A"
    yield opened
    opened.close_case()


@pytest.fixture
def ready(session: Session, virtual_case: Path, tiny_bundle_path: Path) -> Session:
    session.choose_bundle(tiny_bundle_path)
    session.open_case(virtual_case)
    return session


def run(session: Session, target: RunTarget) -> int:
    """Run to the end; return how many tiles were computed and not found."""
    computed = 0
    for step in session.begin_run(session.plan(target)):
        session.absorb(step)
        computed += isinstance(step, TileDone) and not step.cached
    session.end_run(RunPhase.FINISHED)
    return computed


def test_the_window_and_the_command_line_agree_to_the_last_bit(
    ready: Session,
    virtual_case: Path,
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready.set_regions((Region.from_box("region", "Region", BOX),))
    ready.set_view(BoxPx(0, 0, 60, 60))
    assert run(ready, RunTarget.REGIONS) > 0

    arguments = ["run", virtual_case, "--region", "90,70,290,370", "--out", tmp_path]
    arguments += ["--bundle", tiny_bundle_path]
    monkeypatch.setattr(sys, "argv", ["napari-her2", *map(str, arguments)])
    with pytest.raises(SystemExit):
        main()

    record = json.loads((tmp_path / "run.json").read_text())
    row = ready.state.selected
    assert row is not None
    suggestion = row.record.suggestion
    assert suggestion is not None
    assert call_to_text(suggestion.call) == record["suggestion"]
    assert {s.value: p for s, p in suggestion.probabilities} == record["probabilities"]
    assert suggestion.provenance.bundle_sha256 == record["bundle"]["sha256"]
    assert {arm.value: share for arm, share in suggestion.arms} == record["arms"]
    assert [s.value for s in suggestion.prediction_set] == record["prediction_set"]
    assert ready.results is not None
    window = ready.results.synthetic_levels[0][BOX.y0 : BOX.y1, BOX.x0 : BOX.x1]
    with open_slide(tmp_path / "synthetic_ihc.ome.tif") as written:
        command_line = np.asarray(written.levels[0][:])
    computed = window[..., 3] == 255
    assert computed.any()
    assert_array_equal(window[computed][:, :3], command_line[computed])


def test_a_view_that_moved_by_half_computes_only_what_is_new(ready: Session) -> None:
    ready.set_view(BoxPx(0, 0, 256, 256))
    first = run(ready, RunTarget.VIEW)
    ready.set_view(BoxPx(0, 128, 256, 384))
    second = run(ready, RunTarget.VIEW)
    assert first > second == 8
    assert run(ready, RunTarget.VIEW) == 0


def test_progress_ends_where_the_plan_said(ready: Session) -> None:
    ready.set_view(BoxPx(100, 100, 300, 300))
    run(ready, RunTarget.VIEW)
    status = ready.state.run
    assert status.phase is RunPhase.FINISHED
    assert status.n_done == status.n_tiles > 0


def test_cancelled_tiles_are_found_again(ready: Session) -> None:
    ready.set_view(BoxPx(100, 100, 300, 300))
    steps = ready.begin_run(ready.plan(RunTarget.VIEW))
    n_tiles = 0
    for step in steps:
        ready.absorb(step)
        n_tiles += isinstance(step, TileDone)
        if n_tiles == 3:
            break
    steps.close()  # type: ignore[attr-defined]
    ready.end_run(RunPhase.CANCELLED)
    run(ready, RunTarget.VIEW)
    assert ready.state.run.n_cached >= 3


def test_what_a_run_yields_after_the_case_was_closed_is_dropped(ready: Session) -> None:
    steps = iter(ready.begin_run(ready.plan(RunTarget.SLIDE)))
    started, tile = next(steps), next(steps)
    ready.absorb(started)
    steps.close()  # type: ignore[attr-defined]
    ready.close_case()
    ready.absorb(tile)
    assert ready.state.run.phase is RunPhase.IDLE
    assert ready.results is None


def test_a_broken_case_leaves_the_open_one_open(
    ready: Session, virtual_case: Path, tmp_path: Path
) -> None:
    content = json.loads(virtual_case.read_text())
    broken = tmp_path / "broken.her2case.json"
    broken.write_text(json.dumps({**content, "surprise": 1}))
    with pytest.raises(CaseError, match="surprise"):
        ready.open_case(broken)
    assert ready.state.case is not None
    assert ready.state.case.manifest_path == virtual_case
    assert ready.plan(RunTarget.SLIDE).can_run


def test_a_refused_bundle_leaves_the_loaded_one(
    ready: Session, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError):
        ready.choose_bundle(tmp_path)
    assert ready.state.bundle is not None
    assert ready.state.bundle.path == tiny_bundle_path


def test_an_unknown_scale_turns_the_ai_off_until_it_is_given(
    session: Session, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    from skimage.io import imsave

    session.choose_bundle(tiny_bundle_path)
    he = virtual_case.parent / json.loads(virtual_case.read_text())["he"]
    with open_slide(he) as slide:
        imsave(tmp_path / "field.png", slide.levels[0][:], check_contrast=False)
    session.open_files(tmp_path / "field.png", None)
    plan = session.plan(RunTarget.SLIDE)
    assert plan.reasons == (
        "H&E: scale unknown. Enter its µm per pixel in the Case dock.",
    )
    with pytest.raises(NotReadyError):
        session.begin_run(plan)
    with pytest.raises(UsageError):
        session.set_scale(Stain.HE, 352.8)
    session.set_scale(Stain.HE, 0.5)
    assert session.plan(RunTarget.SLIDE).can_run
    session.set_scale(Stain.HE, 5.0)
    assert "coarse" in session.plan(RunTarget.SLIDE).tooltip


def test_without_a_case_or_a_model_the_plan_says_so(
    session: Session, virtual_case: Path
) -> None:
    assert "Open a case" in session.plan(RunTarget.VIEW).tooltip
    session.open_case(virtual_case)
    assert "No model" in session.plan(RunTarget.SLIDE).tooltip


def test_he_alone_is_marked_as_needing_the_real_stain(
    session: Session, virtual_case: Path, tiny_bundle_path: Path
) -> None:
    session.choose_bundle(tiny_bundle_path)
    he = virtual_case.parent / json.loads(virtual_case.read_text())["he"]
    session.open_files(he, None)
    session.set_view(BoxPx(100, 100, 300, 300))
    run(session, RunTarget.VIEW)
    row = session.state.selected
    assert row is not None
    assert row.record.suggestion is not None
    assert row.record.suggestion.caution == "suggested from H&E; IHC needed"


def test_a_run_that_fails_says_so_and_the_next_can_start(ready: Session) -> None:
    ready.begin_run(ready.plan(RunTarget.SLIDE))
    ready.end_run(RunPhase.FAILED, "The disk is full. Free some space.")
    assert ready.state.notice is not None
    assert ready.state.notice.is_error
    assert ready.plan(RunTarget.SLIDE).can_run
    assert replace(ready.state.run).sentence == "The disk is full. Free some space."


def test_unfamiliar_tissue_gives_no_call_and_can_be_forced(
    ready: Session, nothing_is_familiar: None
) -> None:
    with pytest.raises(NotReadyError, match="Nothing unfamiliar"):
        ready.force()
    ready.set_view(BoxPx(100, 100, 300, 300))
    run(ready, RunTarget.VIEW)
    assert ready.state.unfamiliar
    row = ready.state.selected
    assert row is not None
    assert row.record.suggestion is not None
    assert row.record.suggestion.call == UNFAMILIAR
    assert ready.results is not None
    assert not ready.results.synthetic_levels[0][..., 3].any()

    ready.force()
    assert ready.state.forced
    assert run(ready, RunTarget.VIEW) > 0, "forced results lie apart"
    row = ready.state.selected
    assert row is not None
    assert row.record.suggestion is not None
    assert row.record.suggestion.forced
    assert row.record.suggestion.call != UNFAMILIAR
    assert ready.results.synthetic_levels[0][..., 3].any()

    ready.force(on=False)
    assert run(ready, RunTarget.VIEW) == 0
    row = ready.state.selected
    assert row is not None
    assert row.record.suggestion is not None
    assert not row.record.suggestion.forced


def test_force_ends_with_the_case_and_with_the_model(
    ready: Session, virtual_case: Path, tiny_bundle_path: Path
) -> None:
    for change in (
        lambda: ready.open_case(virtual_case),
        lambda: ready.choose_bundle(tiny_bundle_path),
    ):
        ready.state.unfamiliar = True
        ready.refuse(("H&E cannot be assessed.",))
        ready.force()
        change()
        assert not ready.state.forced
        assert not ready.state.unfamiliar
        assert ready.state.refusals == ()


def test_doubts_about_a_stain_are_told_until_the_case_is_closed(
    ready: Session,
) -> None:
    ready.begin_run(ready.plan(RunTarget.SLIDE))
    ready.absorb(StainsDoubted(("H&E: It looks like HER2 IHC.",)))
    assert ready.state.stain_doubts == ("H&E: It looks like HER2 IHC.",)
    ready.close_case()
    assert ready.state.stain_doubts == ()


def test_a_slide_that_is_refused_runs_only_when_it_is_forced(
    session: Session, foreign_slide: Path
) -> None:
    session.choose_bundle(shipped_bundle())
    session.open_files(foreign_slide, None)
    look = session.first_look()
    assert look is not None
    session.refuse(look())
    said = "H&E cannot be assessed: unfamiliar tissue or stain"
    (refusal,) = session.state.refusals
    assert refusal.startswith(said)
    for target in (RunTarget.SLIDE, RunTarget.VIEW):
        assert said in session.plan(target).tooltip
    with pytest.raises(NotReadyError, match=f"{said}.*Run anyway"):
        session.begin_run(session.plan(RunTarget.SLIDE))

    session.force()
    assert session.plan(RunTarget.SLIDE).can_run
    assert session.results is not None
    assert session.results.forced
    session.force(on=False)
    assert not session.plan(RunTarget.SLIDE).can_run


def test_a_run_that_was_quicker_than_the_look_ends_where_it_begins(
    session: Session, foreign_slide: Path
) -> None:
    session.choose_bundle(shipped_bundle())
    session.open_files(foreign_slide, None)
    steps = list(session.begin_run(session.plan(RunTarget.SLIDE)))
    looked, step = steps
    assert not looked.is_blocked
    assert isinstance(step, SlidesRefused)
    session.absorb(step)
    session.end_run(RunPhase.FINISHED)
    assert session.state.run.phase is RunPhase.IDLE
    assert session.state.refusals == step.sentences
    assert not session.plan(RunTarget.SLIDE).can_run


def test_a_slide_is_looked_at_once(
    session: Session, foreign_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.choose_bundle(shipped_bundle())
    session.open_files(foreign_slide, None)
    look = session.first_look()
    assert look is not None
    session.refuse(look())
    monkeypatch.setattr("napari_her2.inference.screening.screen_image", None)
    session.open_files(foreign_slide, None)
    assert session.state.refusals, "known again without another look"
    assert session.first_look() is None


def test_a_model_that_cannot_tell_refuses_nothing(ready: Session) -> None:
    look = ready.first_look()
    assert look is not None
    assert look() == ()


def test_the_colour_preference_holds_for_the_next_case(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    rng = np.random.default_rng(0)
    image = rng.normal((210, 130, 180), 20, (300, 300, 3)).clip(0, 255)
    tifffile.imwrite(
        path,
        image.astype(np.uint8),
        photometric="rgb",
        iccprofile=bytes(imagecodecs.cms_profile("adobergb")),
    )
    seen = []
    for use_profile in (True, False):
        session.state.use_profile = use_profile
        session.open_files(path, None)
        pair = session.state.pair
        assert pair is not None
        assert session.state.case is not None
        seen.append((pair.reference.colours.value, session.state.case.case_id))
    # decisions belong to the slide, whatever its colours
    assert [colours for colours, _ in seen] == ["srgb", "stored"]
    assert seen[0][1] == seen[1][1]


def test_the_whole_slide_runs_without_what_lies_apart(ready: Session) -> None:
    pair = ready.state.pair
    assert pair is not None
    errors = [[3.0] * 12 for _ in range(12)]
    errors[2][2] = 160.0
    cells = [ErrorCell(y, x, 1.0, errors[y][x]) for y in range(12) for x in range(12)]
    error = RegistrationError(
        2.0, 6.0, 90, 100, 3.0, ErrorMap((0.0, 0.0), 40.0, tuple(cells))
    )
    ready.pairing.absorb(Checked(replace(pair.registration, error=error)))
    # the preference counts: what is red for one reader is amber for another
    ready.state.error_limits = ErrorLimits(25.0, 200.0)
    n_tiles = run(ready, RunTarget.SLIDE)
    assert _suggested(ready).left_out is None
    ready.state.error_limits = ErrorLimits(25.0, 100.0)
    assert run(ready, RunTarget.SLIDE) == 0
    left_out = _suggested(ready).left_out
    assert left_out is not None
    assert 0 < left_out.n_tiles < n_tiles / 4
    assert ready.state.run.n_tiles == n_tiles - left_out.n_tiles
    assert "100 µm apart there" in _suggested(ready).caution


def _suggested(session: Session) -> Suggestion:
    row = session.state.selected
    assert row is not None
    assert row.record.suggestion is not None
    return row.record.suggestion
