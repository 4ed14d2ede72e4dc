"""From the tiles of a region to one suggestion.

Each tile says how probable invasive tumour is and, given tumour, each stratum.
A tile without tumour takes no part; the others count by the area they share with
the region times the probability of tumour. Where some tiles have real IHC and
others lie beyond the IHC slide, only those with real IHC are summed: real IHC is
evidence, synthetic IHC is not, and a call never mixes the two. A tile unlike all
the bundle knows takes no part either, and where most of a region is like that
there is no call, unless a person forced the run. Nor do tiles in which the slides
lie apart; they are not even among those that come here.

A model whose labels know no 0+ has a class for both. Where it is the most probable
there is no call, for a 0 would deny a treatment; its share is named beside the
probabilities of the other scores, which then do not sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import napari_her2
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import (
    UNFAMILIAR,
    Arm,
    Evidence,
    GateVerdict,
    LeftOut,
    Provenance,
    Suggestion,
)
from napari_her2.core.region import Region
from napari_her2.core.score import Call, NotAssessable, Score
from napari_her2.inference.calibrated import open_scores
from napari_her2.inference.gate_summary import summed_up
from napari_her2.inference.grid import Tile
from napari_her2.inference.identity import RESULT_VERSION
from napari_her2.inference.plan import TISSUE_SHARE
from napari_her2.inference.reading import TileReader
from napari_her2.inference.result import UNFAMILIAR_DISTANCE
from napari_her2.inference.store import ResultStore
from napari_her2.models.bundle import Bundle
from napari_her2.models.calibration import calibration_of
from napari_her2.models.card import NO_TUMOUR, ZERO_OR_ULTRALOW
from napari_her2.slides.colour import Colours

TUMOUR_PROBABILITY = 0.5
"""A tile with less probability of invasive tumour takes no part in a score."""

TUMOUR_UM2 = 2500.0
"""Least area of probable invasive tumour in a region, a few dozen cells."""

UNFAMILIAR_SHARE = 0.5
"""Share of a region's tissue that may be unfamiliar before there is no call."""

APART_SHARE = 0.5
"""Share of a region's tissue that may be left out before there is no call."""

LIES_APART = NotAssessable("H&E and IHC lie apart in most of this region")

NOT_SEPARATED = NotAssessable("0 or 0+, which this model does not tell apart")
"""The call where the class that holds both is the most probable."""

Shares = tuple[tuple[Score, float], ...]


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one tile says, and for how much of the region."""

    area_um2: float
    strata: tuple[float, ...]
    arm: Arm
    gate: GateVerdict | None
    is_familiar: bool

    @property
    def tumour(self) -> float:
        return math.fsum(self.strata)


def suggest(
    region: Region,
    tissue_tiles: Sequence[Tile],
    store: ResultStore,
    reader: TileReader,
    bundle: Bundle,
    *,
    transform_source: str,
    left_out: LeftOut | None = None,
) -> Suggestion:
    """Put the finished tissue tiles of a region together.

    ``left_out`` tells of tissue that is not among them.

    Sums run over the tiles in grid order and are exact, so that window and
    command line agree to the last bit.

    Raises
    ------
    KeyError
        If a tile is not done.
    """
    tiles = sorted(tissue_tiles)
    evidences = {tile: store.evidence_of(tile) or reader.evidence for tile in tiles}
    with_ihc = [tile for tile in tiles if not evidences[tile].is_synthetic]
    read = with_ihc or tiles
    strata, columns = _strata(bundle.card.classes)
    opinions = [_opinion(tile, region, store, columns) for tile in read]
    known = [o for o in opinions if o.is_familiar or store.forced]
    call, probabilities = _call(opinions, known, strata)
    if left_out is not None and left_out.share > APART_SHARE:
        call, probabilities = LIES_APART, ()
    if call in (UNFAMILIAR, LIES_APART):
        known = []
    counted = [o for o in known if o.tumour >= TUMOUR_PROBABILITY] or known
    arms = _arms(counted)
    calibration = calibration_of(bundle)
    extra = {"tiles without IHC": str(len(tiles) - len(read))} if with_ihc else {}
    if unfamiliar := sum(not o.is_familiar for o in opinions):
        extra["tiles unfamiliar"] = f"{unfamiliar} of {len(opinions)}"
    if None in strata and probabilities:
        rest = 1 - math.fsum(share for _, share in probabilities)
        extra[ZERO_OR_ULTRALOW] = f"{max(rest, 0):.6f}"
    if calibration is None or None in strata:  # sets are promised for single scores
        prediction_set: tuple[Score, ...] = ()
    else:
        extra["coverage asked"] = f"{1 - calibration.alpha:g}"
        prediction_set = open_scores(
            calibration, probabilities, (arm for arm, _ in arms)
        )
    return Suggestion(
        region.region_id,
        call,
        probabilities,
        evidences[read[0]] if read else reader.evidence,
        region.bounds.intersect(BoxPx.of_shape(store.grid.slide_shape)),
        len(known),
        _provenance(store, reader, bundle, transform_source, extra),
        arms=arms,
        prediction_set=prediction_set,
        gate=summed_up([(o.gate, o.area_um2) for o in counted if o.gate is not None]),
        forced=store.forced,
        left_out=left_out,
    )


def _opinion(
    tile: Tile, region: Region, store: ResultStore, columns: NDArray[np.intp]
) -> _Opinion:
    box = store.grid.core_box_px(*tile)
    return _Opinion(
        region.overlap_px(box) * store.grid.slide_mpp**2,
        tuple(store.probabilities_of(tile)[columns].tolist()),
        store.arm_of(tile),
        store.gate_of(tile),
        not store.distance_of(tile) > UNFAMILIAR_DISTANCE,  # NaN: nobody can tell
    )


def _call(
    opinions: Sequence[_Opinion],
    known: Sequence[_Opinion],
    strata: Sequence[Score | None],
) -> tuple[Call, Shares]:
    """Return the call on a region and the probabilities of the scores, if any."""
    if not opinions:
        return NotAssessable("no tissue in this region"), ()
    known_um2 = math.fsum(o.area_um2 for o in known)
    area_um2 = math.fsum(o.area_um2 for o in opinions)
    if known_um2 < (1 - UNFAMILIAR_SHARE) * area_um2:
        return UNFAMILIAR, ()
    tumour = [o for o in known if o.tumour >= TUMOUR_PROBABILITY]
    evidence_um2 = math.fsum(o.area_um2 * o.tumour for o in tumour)
    if evidence_um2 < TUMOUR_UM2:
        return NotAssessable("no invasive tumour found in this region"), ()
    shares = [
        math.fsum(o.area_um2 * o.strata[k] for o in tumour) / evidence_um2
        for k in range(len(strata))
    ]
    call = strata[shares.index(max(shares))]
    named = zip(strata, shares, strict=True)
    return (
        NOT_SEPARATED if call is None else call,
        tuple((score, share) for score, share in named if score is not None),
    )


def _arms(opinions: Sequence[_Opinion]) -> tuple[tuple[Arm, float], ...]:
    """Return the share of the area by arm, most first."""
    area_um2 = math.fsum(o.area_um2 for o in opinions)
    shares = [
        (arm, math.fsum(o.area_um2 for o in opinions if o.arm is arm) / area_um2)
        for arm in Arm
        if any(o.arm is arm for o in opinions)
    ]
    return tuple(sorted(shares, key=lambda pair: -pair[1]))


def _strata(classes: Sequence[str]) -> tuple[list[Score | None], NDArray[np.intp]]:
    """Return the scores of the classes with tumour, None for 0 or 0+, and columns."""
    pairs = [
        (None if name == ZERO_OR_ULTRALOW else Score(name), k)
        for k, name in enumerate(classes)
        if name != NO_TUMOUR
    ]
    return [score for score, _ in pairs], np.array([k for _, k in pairs], np.intp)


def _provenance(
    store: ResultStore,
    reader: TileReader,
    bundle: Bundle,
    transform_source: str,
    extra: dict[str, str],
) -> Provenance:
    parameters = {
        "backend": str(store.identity["backend"]),
        "device": str(store.identity["device"]),
        "forced": "yes" if store.forced else "no",
        "model µm/px": f"{store.grid.model_mpp:g}",
        "result version": str(RESULT_VERSION),
        "slide µm/px": repr(store.grid.slide_mpp),
        "tissue share": f"{TISSUE_SHARE:g}",
        "tumour probability": f"{TUMOUR_PROBABILITY:g}",
        **extra,
    }
    if reader.evidence is Evidence.BOTH:
        parameters["transform"] = transform_source
        parameters["H&E to IHC µm"] = reader.he_to_ihc.told
    for stain, slide in reader.slides:
        if slide.colours is Colours.SRGB:
            parameters[f"{stain.label} colours"] = slide.pixels.partition("+")[2]
    return Provenance(
        slides=tuple(
            (stain.value, slide.fingerprint) for stain, slide in reader.slides
        ),
        bundle=f"{bundle.card.name} {bundle.card.version}",
        bundle_sha256=bundle.sha256,
        software=f"napari-her2 {napari_her2.__version__}",
        parameters=tuple(sorted(parameters.items())),
        direction=store.direction,
    )
