"""From counted cells of the real IHC to a suggestion that a person decides on."""

from __future__ import annotations

from dataclasses import asdict, replace

from napari_her2.cells.call import ERRORS, CellCall
from napari_her2.cells.provenance import Made, parameters_of
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline_limits import DEFAULT_LIMITS
from napari_her2.core.records import CellBasis, Evidence, Provenance, Suggestion
from napari_her2.core.region import Region


def suggest_from_cells(
    region: Region,
    box_px: BoxPx,
    call: CellCall,
    *,
    made: Made,
    n_judged: int,
    tumour: str,
    slides: tuple[tuple[str, str], ...],
    controls: str = "",
) -> Suggestion:
    """Return the call of a region with what it rests on.

    Parameters
    ----------
    box_px
        Bounds the region in level-0 pixels of the reference slide.
    made
        How the cells were read and carried, see :mod:`napari_her2.cells.provenance`.
    n_judged
        Cells that readers confirmed or corrected.
    tumour
        Who said where the tumour is.
    slides
        Pairs of stain and fingerprint: the IHC slide, and the H&E slide where the
        region was drawn on it.
    controls
        Whether control tissue set the thresholds, in words.
    """
    reading = call.reading
    if not reading.n_cells:
        reading = replace(reading, h_score=None)  # of no cells there is none
    rules = {"method_errors": asdict(ERRORS), "limits": asdict(DEFAULT_LIMITS)}
    parameters = {name: made[name] for name in made if name not in ("software",)}
    return Suggestion(
        region_id=region.region_id,
        call=reading.call,
        probabilities=(),
        evidence=Evidence.CELLS,
        box_px=box_px,
        n_tiles=0,
        provenance=Provenance(
            slides=slides,
            bundle="",
            bundle_sha256="",
            software=str(made.get("software", "")),
            parameters=parameters_of(parameters | rules),
        ),
        cells=CellBasis(reading, n_judged, tumour, call.heterogeneity.kind, controls),
    )
