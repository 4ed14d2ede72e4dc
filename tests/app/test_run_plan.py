from dataclasses import replace

import pytest

from napari_her2.app.run_plan import (
    RunSituation,
    RunTarget,
    is_view_region,
    plan_run,
)
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region

READY = RunSituation(
    slide_px=BoxPx(0, 0, 1000, 2000),
    unknown_scale=(),
    bundle_problem=None,
    is_running=False,
    view_px=BoxPx(-50, 100, 400, 700),
    drawn=(Region.from_box("r1", "Region 1", BoxPx(10, 10, 60, 60)),),
)


def test_a_view_runs_on_the_part_of_the_slide_that_is_seen() -> None:
    plan = plan_run(RunTarget.VIEW, READY)
    assert plan.can_run
    assert plan.regions[0].bounds == BoxPx(0, 100, 400, 700)
    assert is_view_region(plan.regions[0].region_id)
    assert plan.near_yx_px == (175.0, 400.0)


def test_the_same_view_is_the_same_region() -> None:
    first = plan_run(RunTarget.VIEW, READY).regions[0]
    assert plan_run(RunTarget.VIEW, READY).regions[0] == first


def test_the_whole_slide_is_one_region() -> None:
    assert plan_run(RunTarget.SLIDE, READY).regions[0].bounds == READY.slide_px


@pytest.mark.parametrize("target", list(RunTarget))
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slide_px": None}, "Open a case"),
        ({"unknown_scale": ("H&E",)}, "H&E: scale unknown"),
        ({"bundle_problem": "No model is loaded."}, "No model"),
        ({"is_running": True}, "under way"),
        ({"refusals": ("H&E cannot be assessed.",)}, "cannot be assessed"),
    ],
)
def test_a_run_that_cannot_start_says_why(
    target: RunTarget, change: dict[str, object], words: str
) -> None:
    plan = plan_run(target, replace(READY, **change))  # type: ignore[arg-type]
    assert not plan.can_run
    assert plan.regions == ()
    assert words in plan.tooltip


def test_every_reason_is_given_at_once() -> None:
    plan = plan_run(
        RunTarget.REGIONS, replace(READY, unknown_scale=("H&E", "HER2 IHC"), drawn=())
    )
    assert len(plan.reasons) == 3


@pytest.mark.parametrize("view", [None, BoxPx(2000, 0, 2100, 50)])
def test_a_view_beside_the_slide_does_not_run(view: BoxPx | None) -> None:
    plan = plan_run(RunTarget.VIEW, replace(READY, view_px=view))
    assert "not in view" in plan.tooltip


def test_regions_beside_the_slide_are_left_out() -> None:
    beside = Region.from_box("r2", "Region 2", BoxPx(3000, 0, 3100, 50))
    plan = plan_run(RunTarget.REGIONS, replace(READY, drawn=(*READY.drawn, beside)))
    assert [region.region_id for region in plan.regions] == ["r1"]
