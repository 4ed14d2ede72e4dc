"""What a run would do now, or why it cannot run: computed here, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from napari_her2.app.pairing import why_not_both, why_not_both_in
from napari_her2.app.quality_gate import blocked_by
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Stain

if TYPE_CHECKING:
    from napari_her2.app.state import SessionState
    from napari_her2.slides.pair import SlidePair

WHOLE_SLIDE = "slide"
"""Id of the region that covers the reference slide."""

OVERRULE = "Overrule it with a reason in the Case dock, or scan another slide."
"""What a reader can do about the quality of a slide."""

_VIEW = "view-"


class RunTarget(StrEnum):
    """What the reader asked to run on."""

    VIEW = "view"
    REGIONS = "regions"
    SLIDE = "slide"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The regions a run would cover, or the reasons why it cannot run.

    Exactly one of ``regions`` and ``reasons`` is empty.
    """

    target: RunTarget
    regions: tuple[Region, ...] = ()
    reasons: tuple[str, ...] = ()
    near_yx_px: tuple[float, float] | None = None

    @property
    def can_run(self) -> bool:
        """Whether the button is enabled."""
        return not self.reasons

    @property
    def tooltip(self) -> str:
        """What the button would do, or why it is off."""
        if self.reasons:
            return "\n".join(self.reasons)
        names = ", ".join(region.name for region in self.regions)
        return f"Run the AI on {names}"


@dataclass(frozen=True, slots=True)
class RunSituation:
    """All that decides whether a run may start.

    ``view_px`` is the visible box and ``slide_px`` the whole reference slide,
    both in its level-0 pixels; None when there is none. ``refusals`` say why slides
    cannot be assessed; a forced run has none. ``apart`` says why the two stains must
    not be read together, ``apart_in`` why not in a region, ``quality`` what must be
    overruled first, also for a forced run.
    """

    slide_px: BoxPx | None
    unknown_scale: tuple[str, ...]
    bundle_problem: str | None
    is_running: bool
    view_px: BoxPx | None
    drawn: tuple[Region, ...]
    refusals: tuple[str, ...] = ()
    apart: str | None = None
    apart_in: Callable[[Region], str | None] = lambda _: None
    quality: tuple[str, ...] = ()


def situation_of(
    state: SessionState, bundle_problem: Callable[[], str | None]
) -> RunSituation:
    """Return the situation of a session.

    ``bundle_problem`` says why the model cannot run on the slides; it is asked only
    once their scale is known.
    """
    pair = state.pair
    unknown = () if pair is None else unknown_scales(pair)
    return RunSituation(
        slide_px=None if pair is None else BoxPx.of_shape(pair.reference.shape),
        unknown_scale=tuple(stain.label for stain in unknown),
        bundle_problem=None if unknown else bundle_problem(),
        is_running=state.run.is_running,
        view_px=state.view_px,
        drawn=state.regions,
        refusals=() if state.forced else state.refusals,
        apart=_apart(state),
        apart_in=partial(_apart_in, state),
        quality=blocked_by(state.quality, state.overruled),
    )


def _apart(state: SessionState) -> str | None:
    """Return why the model must not read both slides together."""
    pair = _read_together(state)
    if pair is None:
        return None
    if state.pairing_work.is_moving:
        return "H&E and IHC are being registered. Wait, or cancel it in the Case dock."
    return why_not_both(pair.registration, state.error_limits)


def _apart_in(state: SessionState, region: Region) -> str | None:
    """Return why it must not in a region."""
    pair = _read_together(state)
    if pair is None:
        return None
    return why_not_both_in(pair, region, state.error_limits)


def _read_together(state: SessionState) -> SlidePair | None:
    """Return the slides where the model reads both of them."""
    pair, bundle = state.pair, state.bundle
    if pair is None or pair.he is None or pair.ihc is None or bundle is None:
        return None
    return pair if len(bundle.card.inputs) == 2 else None


def unknown_scales(pair: SlidePair) -> tuple[Stain, ...]:
    """Return the stains whose slide does not know its µm per pixel."""
    slides = ((Stain.HE, pair.he), (Stain.IHC, pair.ihc))
    return tuple(s for s, slide in slides if slide is not None and slide.mpp is None)


def plan_run(target: RunTarget, now: RunSituation) -> RunPlan:
    """Return what a run on ``target`` would cover in this situation, or why not."""
    if now.slide_px is None:
        return RunPlan(target, reasons=("Open a case first.",))
    reasons = [
        f"{name}: scale unknown. Enter its µm per pixel in the Case dock."
        for name in now.unknown_scale
    ]
    if now.bundle_problem:
        reasons.append(now.bundle_problem)
    reasons.extend(now.refusals)
    if now.apart:
        reasons.append(now.apart)
    reasons.extend(f"{sentence} {OVERRULE}" for sentence in now.quality)
    if now.is_running:
        reasons.append("A run is under way. Cancel it or wait for it.")
    regions = _regions_of(target, now)
    if isinstance(regions, str):
        reasons.append(regions)
        regions = ()
    if not now.apart:
        reasons.extend(filter(None, map(now.apart_in, regions)))
    if reasons:
        return RunPlan(target, reasons=tuple(reasons))
    near = now.view_px.center if now.view_px is not None else None
    return RunPlan(target, regions, near_yx_px=near)


def _regions_of(target: RunTarget, now: RunSituation) -> tuple[Region, ...] | str:
    """Return the regions of a target, or the reason why there are none."""
    if now.slide_px is None:
        return "Open a case first."
    match target:
        case RunTarget.SLIDE:
            return (Region.from_box(WHOLE_SLIDE, "Whole slide", now.slide_px),)
        case RunTarget.VIEW:
            seen = now.view_px.intersect(now.slide_px) if now.view_px else None
            if seen is None or seen.is_empty:
                return "The slide is not in view. Move the view back to it."
            return (Region.from_box(view_region_id(seen), "View", seen),)
        case RunTarget.REGIONS:
            inside = tuple(
                region
                for region in now.drawn
                if not region.is_excluded
                and not region.bounds.intersect(now.slide_px).is_empty
            )
            return inside or "Draw a region on the slide first."


def view_region_id(box_px: BoxPx) -> str:
    """Name a viewport by its box, so that the same view is the same region."""
    return _VIEW + "-".join(str(value) for value in box_px.as_tuple())


def is_view_region(region_id: str) -> bool:
    """Whether a region is what was on screen once, and not drawn by a person."""
    return region_id.startswith(_VIEW)
