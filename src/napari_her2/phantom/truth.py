"""What is known about a virtual slide: counted, not promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx, BoxUm
from napari_her2.core.membrane import MembranePattern, MembraneShares
from napari_her2.core.score import Stain
from napari_her2.phantom.cells import CellKind
from napari_her2.phantom.ducts import DuctKind, ducts_near
from napari_her2.phantom.ground import NucleusKind
from napari_her2.phantom.parameters import PhantomRecipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.stroma import lymphocytes


def count_shares(
    recipe: PhantomRecipe, stain: Stain = Stain.IHC
) -> tuple[int, MembraneShares]:
    """Count invasive cells and patterns over a whole slide."""
    pair = VirtualPair(recipe)
    return pair.tile_truth(stain, BoxPx.of_shape(pair.shape_px(stain)))


def cells(
    pair: VirtualPair, stain: Stain, box_px: BoxPx | None = None
) -> pyarrow.Table:
    """List the cells of a section whose centre lies in a box of its slide.

    Carcinoma cells (``type`` "invasive" or "in situ") and lymphocytes. Columns:
    id, y_um, x_um on the slide, he_y_um, he_x_um in the H&E frame, nucleus_y_um,
    nucleus_x_um (the middle of the nucleus on the slide), type, nucleus_a_um,
    nucleus_b_um (semi-axes), nucleus_angle (radians from y towards x on the H&E
    frame), cell_radius_um, intensity_od (DAB in the ring before blur), completeness,
    pattern. ``id`` is the same on both sections for places of the cell lattice,
    where a cell persists or is replaced.
    """
    box_px = box_px or BoxPx.of_shape(pair.shape_px(stain))
    tables = [_table(pair, stain, part) for part in pair.parts(box_px)]
    return pyarrow.concat_tables(tables).combine_chunks()


def regions(pair: VirtualPair) -> list[dict[str, Any]]:
    """List the round structures as polygons (y, x) in µm on both slides."""
    recipe = pair.recipe
    found = []
    for duct in ducts_near(recipe, BoxUm(0, 0, recipe.height_um, recipe.width_um)):
        outline = duct.outline_um()
        found.append(
            {
                "kind": DuctKind(duct.kind).name.lower().replace("_", " "),
                "growth": duct.growth.name.lower()
                if duct.kind is DuctKind.IN_SITU
                else None,
                "he_um": outline.round(2).tolist(),
                "ihc_um": pair.transform.he_to_ihc(outline).round(2).tolist(),
            }
        )
    return found


def _table(pair: VirtualPair, stain: Stain, box_px: BoxPx) -> pyarrow.Table:
    terrain, around, tumour = pair.survey(stain, box_px)
    nuclei, her2 = tumour.nuclei(), tumour.her2()
    live = (tumour.kind == CellKind.INVASIVE) | (tumour.kind == CellKind.IN_SITU)
    mine = live & pair.in_box(stain, box_px, tumour.y_um, tumour.x_um)
    turn = _angle_of(tumour.lattice.turn)
    size = int(mine.sum())
    names = np.array(["", "invasive", "in situ"])
    patterns = np.array([p.name.lower() for p in MembranePattern])
    carcinoma = _columns(
        pair,
        stain,
        key=_keys(0, tumour.lattice.iv[mine], tumour.lattice.iu[mine]),
        y_um=tumour.y_um[mine],
        x_um=tumour.x_um[mine],
        off_um=np.stack(
            tumour.lattice.turn(nuclei.centre_v[mine], nuclei.centre_u[mine]), -1
        ),
        kind=names[tumour.kind[mine]],
        semi_a=nuclei.semi_a[mine],
        semi_b=nuclei.semi_b[mine],
        angle=(nuclei.angle[mine] + turn) % np.pi,
        radius=np.full(size, 0.5 * pair.recipe.cytology.cell_pitch_um),
        od=her2.peak_od[mine],
        completeness=her2.completeness[mine],
        pattern=patterns[her2.pattern[mine]],
    )
    lattice, there, own = lymphocytes(terrain, around, stain is Stain.IHC)
    y_um, x_um = lattice.points_um()
    mine = there & pair.in_box(stain, box_px, y_um, x_um)
    # some lie in fat or under a nest and do not show
    places_um = pair.from_he_um(stain, np.stack([y_um[mine], x_um[mine]], -1))
    mine[mine] = pair.nuclei_at(stain, places_um) == NucleusKind.LYMPHOCYTE
    radius = 2.35 + 1.1 * own[mine]
    none = np.zeros(radius.size)
    others = _columns(
        pair,
        stain,
        key=_keys(1, lattice.iv[mine], lattice.iu[mine]),
        y_um=y_um[mine],
        x_um=x_um[mine],
        off_um=np.zeros((radius.size, 2)),
        kind=np.full(radius.size, "lymphocyte"),
        semi_a=radius,
        semi_b=radius,
        angle=none,
        radius=radius + 0.4,
        od=none,
        completeness=none,
        pattern=np.full(radius.size, "none"),
    )
    return pyarrow.concat_tables([carcinoma, others])


def _angle_of(turn: Any) -> float:
    dy, dx = turn(np.array([1.0]), np.array([0.0]))
    return float(np.arctan2(dx[0], dy[0]))


def _keys(layer: int, iv: NDArray[np.int64], iu: NDArray[np.int64]) -> Any:
    """Pack a lattice cell into one number that is unique on a slide."""
    return (layer << 60) + ((iv + (1 << 27)) << 28) + (iu + (1 << 27))


def _columns(pair: VirtualPair, stain: Stain, **of: Any) -> pyarrow.Table:
    he_um = np.stack([of["y_um"], of["x_um"]], -1)
    slide_um = pair.from_he_um(stain, he_um)
    nucleus_um = pair.from_he_um(stain, he_um + of["off_um"])
    single = np.float32
    return pyarrow.table(
        {
            "id": of["key"],
            "y_um": slide_um[:, 0].astype(single),
            "x_um": slide_um[:, 1].astype(single),
            "he_y_um": he_um[:, 0].astype(single),
            "he_x_um": he_um[:, 1].astype(single),
            "nucleus_y_um": nucleus_um[:, 0].astype(single),
            "nucleus_x_um": nucleus_um[:, 1].astype(single),
            "type": pyarrow.array(of["kind"].tolist(), pyarrow.string()),
            "nucleus_a_um": of["semi_a"].astype(single),
            "nucleus_b_um": of["semi_b"].astype(single),
            "nucleus_angle": of["angle"].astype(single),
            "cell_radius_um": of["radius"].astype(single),
            "intensity_od": of["od"].astype(single),
            "completeness": of["completeness"].astype(single),
            "pattern": pyarrow.array(of["pattern"].tolist(), pyarrow.string()),
        }
    )
