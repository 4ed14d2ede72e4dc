"""Serial sections with landmarks set by people, as they are and turned.

The data set (Borda, histology landmarks; BSD) has no µm per pixel: errors are shares
of the H&E image's diagonal.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TURNS = {"as it is": (0.0, 1.0), "turned by 180°": (180.0, 1.0)}
TURNS["turned by 35°, scaled .85"] = (35.0, 0.85)
_LUNG = "29-041-Izd2-w35-{}"
_STAINS = ("CD31-3-les3", "Cc10-5-les3", "Ki67-7-les3", "proSPC-4-les3")

Points = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkPair:
    """Two sections and the same places (n, 2) on both, (y, x) in pixels."""

    name: str
    he: Image
    ihc: Image
    he_px: Points
    ihc_px: Points

    @property
    def diagonal_px(self) -> float:
        """Of the H&E image."""
        return math.hypot(*self.he.shape[:2])

    def turned(self, deg: float, scale: float) -> LandmarkPair:
        """Return the pair with its IHC turned and scaled, the canvas grown to fit."""
        if (deg, scale) == (0.0, 1.0):
            return self
        sin, cos = math.sin(math.radians(deg)), math.cos(math.radians(deg))
        linear = scale * np.array([[cos, sin], [-sin, cos]])
        height, width = self.ihc.shape[:2]
        corners = np.array([[0, 0], [0, width], [height, 0], [height, width]])
        moved = corners @ linear.T
        corner = moved.min(0)
        shape = np.ceil(moved.max(0) - corner).astype(int)
        back = np.linalg.inv(linear)
        offset = back @ (corner + 0.5) - 0.5
        glass = np.median(self.ihc[(self.ihc > 200).all(-1)], 0)
        channels = [
            ndimage.affine_transform(
                self.ihc[..., k].astype(float), back, offset, tuple(shape),
                order=1, cval=glass[k],
            )
            for k in range(3)
        ]  # fmt: skip
        image = np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)
        there = self.ihc_px @ linear.T - corner
        return LandmarkPair(self.name, self.he, image, self.he_px, there)


def landmark_pairs(folder: Path) -> Iterator[LandmarkPair]:
    """Read the six pairs of H&E and another stain below a folder."""
    lung = folder / "dataset/lung-lesion_3/scale-5pc"
    marks = folder / "annotations/lung-lesion_3/user-PS_scale-50pc"
    he = _LUNG.format("He-les3")
    for stain in _STAINS:
        name = _LUNG.format(stain)
        yield LandmarkPair(
            f"lung lesion, {stain.split('-')[0]}",
            _image(lung / f"{he}.jpg"),
            _image(lung / f"{name}.jpg"),
            # landmarks are at 50 % of the size, images at 5 %
            _points(marks / f"{he}.csv") / 10,
            _points(marks / f"{name}.csv") / 10,
        )
    for name, part, first, second in (
        ("lesions, proSPC", "lesions_", "Izd2-29-041-w35_HE", "Izd2-29-041-w35_proSPC"),
        (
            "rat kidney, PanCytokeratin",
            "rat-kidney_",
            "Rat-Kidney_HE",
            "Rat-Kidney_PanCytokeratin",
        ),
    ):
        place = folder / part / "scale-5pc"
        points = [_points(place / f"{one}.csv") for one in (first, second)]
        count = min(len(one) for one in points)
        yield LandmarkPair(
            name,
            _image(place / f"{first}.jpg"),
            _image(place / f"{second}.jpg"),
            points[0][:count],
            points[1][:count],
        )


def _image(path: Path) -> Image:
    return np.asarray(imagecodecs.jpeg_decode(path.read_bytes()))


def _points(path: Path) -> Points:
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    return np.array([[float(row[2]), float(row[1])] for row in rows])
