"""Draw the cells of IHC or H&E images as the window shows them, into pictures.

Outlines in the colours of the membrane patterns, grey where no tumour is proposed.

    python examples/cell_overlays.py OUT --mpp 0.25 IMAGE... [--at Y X --side PX]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from napari_her2.cells.call import call_cells
from napari_her2.cells.score_file import cells_of
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.score import Stain
from napari_her2.slides.slide import Slide, open_slide
from napari_her2.viewer.cell_outlines import outline_vectors
from napari_her2.viewer.palette import PATTERN_COLORS

SCALE = 2
_NO_TUMOUR = "#868e96"


def draw(slide: Slide, mpp: float, cells: pa.Table, box: BoxPx) -> Image.Image:
    """Return a box of a slide, twice as large, with the outlines of its cells."""
    pixels = slide.levels[0][box.y0 : box.y1, box.x0 : box.x1]
    picture = Image.fromarray(np.asarray(pixels))
    picture = picture.resize((SCALE * box.width, SCALE * box.height))
    pen = ImageDraw.Draw(picture)
    vectors = outline_vectors(cells, np.arange(cells.num_rows), mpp, 0.0)
    corners = SCALE * (vectors[:, :, 0] / mpp - (box.y0, box.x0))
    for outline, pattern, is_tumour in zip(
        corners,
        cells["pattern"].to_pylist(),
        cells["is_tumour"].to_pylist(),
        strict=True,
    ):
        color = PATTERN_COLORS[MembranePattern(pattern)] if is_tumour else _NO_TUMOUR
        pen.polygon([(x, y) for y, x in outline], outline=color, width=2)
    return picture


def main() -> None:
    """Read the images whole and draw a box of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--mpp", type=float, required=True)
    parser.add_argument("--stain", type=Stain, default=Stain.IHC)
    parser.add_argument("--at", type=int, nargs=2, default=(0, 0), metavar=("Y", "X"))
    parser.add_argument("--side", type=int, default=600, help="of the box, in pixels")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    y, x = asked.at
    for path in asked.images:
        with open_slide(path) as opened:
            slide = opened.with_mpp(asked.mpp)
            cells = cells_of(slide, stain=asked.stain)
            if asked.stain is Stain.IHC:
                print(path.name, call_cells(cells, asked.mpp).reading.call)
            box = BoxPx(y, x, y + asked.side, x + asked.side)
            draw(slide, asked.mpp, cells, box).save(asked.out / f"{path.stem}.png")


if __name__ == "__main__":
    main()
