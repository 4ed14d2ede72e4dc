"""Where to begin: every orientation is tried on small images.

For each turn, mirror image and size the masked normalised cross-correlation
(Padfield, IEEE TIP 2012) is computed for all shifts at once by Fourier transform:
it counts only where the two sections overlap, so parts may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_her2.core.geometry import Affine
from napari_her2.slides.registration.section import Floats, Section

_SIDE_PX: Final = 112
_STEP_DEG: Final = 7.2
_LEAST_OVERLAP: Final = 0.3
_N_THREADS: Final = 2
KNOWN_SCALES: Final = (0.8, 0.88, 0.97, 1.07, 1.18)
UNKNOWN_SCALES: Final = (0.5, 0.6, 0.71, 0.84, 1.0, 1.19, 1.41, 1.68, 2.0)


@dataclass(frozen=True, slots=True)
class Start:
    """An orientation worth refining.

    ``turn_deg`` and ``mirrored`` say how the moving section lies; ``score`` is the
    correlation, less where little overlaps.
    """

    affine_um: Affine
    turn_deg: float
    mirrored: bool
    score: float

    def is_near(self, other: Start) -> bool:
        """Whether refining both would give the same."""
        apart = abs(self.turn_deg - other.turn_deg) % 360
        return self.mirrored == other.mirrored and min(apart, 360 - apart) < 25


def find_starts(
    fixed: Section, moving: Section, *, scales: Iterable[float], count: int
) -> list[Start]:
    """Return the best orientations of ``moving`` on ``fixed``, best first.

    Parameters
    ----------
    scales
        Sizes to try: µm of the moving section per µm of the fixed one.
    count
        How many to return, unlike one another.
    """
    scales = list(scales)
    search = _Search(fixed.shrunk(_SIDE_PX), moving, min(scales))
    tries = list(product((False, True), scales, np.arange(0, 360, _STEP_DEG)))
    with ThreadPoolExecutor(_N_THREADS) as pool:
        found = sorted(pool.map(search.best, tries), key=lambda start: -start.score)
    chosen: list[Start] = []
    for start in found:
        if not any(start.is_near(other) for other in chosen):
            chosen.append(start)
    return chosen[:count]


def overlap_factor(overlap: Any) -> Any:
    """Return by what a correlation counts where sections overlap by a share."""
    return np.minimum(1, overlap + 0.2) ** 0.5


class _Search:
    """Both sections on the small grid, with what is transformed only once."""

    def __init__(self, fixed: Section, moving: Section, least_scale: float) -> None:
        self.moving = moving
        self.um_per_px = um_per_px = fixed.um_per_px
        self._fixed = fixed.channels
        self._moving = [
            ndimage.gaussian_filter(one, 0.4 * um_per_px / moving.um_per_px)
            for one in moving.channels
        ]
        self._shape = self._fixed[0].shape
        diagonal_px = math.hypot(*moving.size_um) / um_per_px / least_scale
        self._side = math.ceil(diagonal_px) + 2
        self._padded = tuple(
            fft.next_fast_len(length + self._side, real=True) for length in self._shape
        )
        field = np.ones(self._shape, np.float32)
        self._field = self._to(field)
        self._plain = [self._to(one) for one in self._fixed]
        self._square = [self._to(one * one) for one in self._fixed]

    def best(self, pose: tuple[bool, float, float]) -> Start:
        """Return the best shift for one mirror image, size and turn."""
        mirrored, scale, turn_deg = pose
        linear, field, images = self._posed(mirrored, scale, float(turn_deg))
        mask = np.conj(self._to(field))
        number = np.maximum(self._back(self._field * mask), 1e-3)
        total = np.zeros(self._padded, np.float32)
        for plain, square, image in zip(self._plain, self._square, images, strict=True):
            other, other_square = (
                np.conj(self._to(one)) for one in (image, image * image)
            )
            sum_fixed, sum_moving = (
                self._back(plain * mask),
                self._back(self._field * other),
            )
            both = self._back(plain * other) - sum_fixed * sum_moving / number
            spread_fixed = self._back(square * mask) - sum_fixed**2 / number
            spread_moving = (
                self._back(self._field * other_square) - sum_moving**2 / number
            )
            # the floor keeps empty overlaps from looking alike
            floor = 1e-3 * number + 1e-2
            total += both / np.sqrt(
                np.maximum(spread_fixed, floor) * np.maximum(spread_moving, floor)
            )
        overlap = number / min(field.sum(), math.prod(self._shape))
        score = total / len(images) * overlap_factor(overlap)
        score[overlap < _LEAST_OVERLAP] = -1
        place = np.array(np.unravel_index(score.argmax(), score.shape))
        value = float(score[tuple(place)])
        place = np.where(place >= self._shape, place - self._padded, place)
        return Start(self._affine(linear, place), float(turn_deg), mirrored, value)

    def _posed(
        self, mirrored: bool, scale: float, turn_deg: float
    ) -> tuple[NDArray[np.float64], Floats, list[Floats]]:
        """Return the linear map, and the moving section as it then looks."""
        angle, sign = math.radians(turn_deg), -1 if mirrored else 1
        cos, sin = math.cos(angle), math.sin(angle)
        linear = scale * np.array([[cos, sin * sign], [-sin, cos * sign]])
        step = self.um_per_px / self.moving.um_per_px
        along = np.arange(self._side) - (self._side - 1) / 2
        grid = np.stack(np.meshgrid(along, along, indexing="ij"))
        middle = (np.array(self.moving.shape) - 1) / 2
        at = np.tensordot(linear * step, grid, 1) + middle[:, None, None]
        height, width = self.moving.shape
        field = (at[0] >= -0.5) & (at[0] <= height - 0.5)
        field &= (at[1] >= -0.5) & (at[1] <= width - 0.5)
        images = [np.zeros(field.shape, np.float32) for _ in self._moving]
        for image, one in zip(images, self._moving, strict=True):
            # half of the square is beside the turned section: nothing to look up
            image[field] = ndimage.map_coordinates(
                one, at[:, field], order=1, mode="nearest"
            )
        return linear, field.astype(np.float32), images

    def _affine(self, linear: NDArray[np.float64], place: NDArray[np.intp]) -> Affine:
        """Return the map in µm where the posed image's corner lies at a place."""
        middle_fixed_um = (place + self._side / 2) * self.um_per_px
        middle_moving_um = self.moving.size_um / 2
        shift = middle_moving_um - linear @ middle_fixed_um
        return Affine.from_matrix(np.column_stack([linear, shift]))

    def _to(self, image: NDArray[np.float32]) -> NDArray[np.complex64]:
        spectrum: NDArray[np.complex64] = fft.rfft2(image, self._padded)
        return spectrum

    def _back(self, spectrum: NDArray[np.complex64]) -> Floats:
        image: Floats = fft.irfft2(spectrum, self._padded)
        return image
