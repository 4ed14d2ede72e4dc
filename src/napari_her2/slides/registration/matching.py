"""Find small patches of one section again on the other.

Each patch of the fixed section is looked for around the place where the map says
it lies, by normalised cross-correlation of occupancy and nuclei. A match counts
where it is clearly better than any other place nearby, and better than patches
are when compared with places they do not come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_her2.core.transform import Transform
from napari_her2.slides.registration.section import Floats, Section

Points = NDArray[np.float64]

_LEAST_STRUCTURE: Final = 0.05
"""Standard deviation within a patch; with less there is nothing to recognise."""
_LEAST_INSIDE: Final = 0.75
_LEAST_DISTINCT: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What was found of patches.

    ``centres_um`` (n, 2) on the fixed section; ``shifts_um`` (n, 2), where the patch
    lies beside the place the map says, in the frame of the fixed section;
    ``peaks`` (n,), its correlation; ``distinct`` (n,), how much it stands above the
    next best place, -1 where nothing was found.
    """

    centres_um: Points
    shifts_um: Points
    peaks: NDArray[np.float64]
    distinct: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centres_um)

    def where(self, chosen: NDArray[np.bool_]) -> Matches:
        """Return some of the matches."""
        return Matches(
            self.centres_um[chosen],
            self.shifts_um[chosen],
            self.peaks[chosen],
            self.distinct[chosen],
        )

    @property
    def found(self) -> Matches:
        """Those that stand out from their neighbourhood."""
        return self.where(self.distinct > _LEAST_DISTINCT)


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """The moving section as it lies on the fixed one, and where it reaches."""

    channels: tuple[Floats, ...]
    inside: NDArray[np.bool_]


def lay_on(moving: Section, fixed: Section, transform: Transform) -> Mapped:
    """Resample the moving section into the pixels of the fixed one."""
    height, width = fixed.shape
    grid = np.stack(
        np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij"), -1
    )
    at = transform.apply(grid * fixed.um_per_px) / moving.um_per_px - 0.5
    at = np.moveaxis(at, -1, 0)
    sides = np.array(moving.shape)[:, None, None]
    inside: NDArray[np.bool_] = np.all((at >= -0.5) & (at <= sides - 0.5), axis=0)
    finer = transform_scale(transform, fixed) * fixed.um_per_px / moving.um_per_px
    channels = tuple(
        ndimage.map_coordinates(
            ndimage.gaussian_filter(one, 0.4 * finer) if finer > 1.2 else one,
            at,
            order=1,
            mode="nearest",
        )
        for one in moving.channels
    )
    return Mapped(channels, inside)


def transform_scale(transform: Transform, fixed: Section) -> float:
    """Return µm of the moving section per µm of the fixed one, in its middle."""
    middle = fixed.size_um / 2
    points = transform.apply(middle + np.array([[0, 0], [100.0, 0], [0, 100.0]]))
    return float(np.sqrt(abs(np.linalg.det(points[1:] - points[0]))) / 100)


def match_patches(
    fixed: Section,
    mapped: Mapped,
    centres_px: NDArray[np.intp],
    *,
    patch_px: int,
    reach_px: int,
    look_elsewhere: bool = False,
) -> Matches:
    """Look for patches of the fixed section on the moving one.

    Parameters
    ----------
    centres_px
        (n, 2) in working pixels of the fixed section.
    patch_px
        Side of a patch, even.
    reach_px
        How far from its place a patch is looked for.
    look_elsewhere
        Look in the place of another patch instead: nothing true can be found
        there, which tells what chance finds.
    """
    margin = patch_px // 2 + reach_px
    padded = [
        [np.pad(one, margin, mode="edge") for one in side.channels]
        for side in (fixed, mapped)
    ]
    inside = np.pad(mapped.inside.astype(np.float32), margin)
    places = (
        np.roll(centres_px, len(centres_px) // 2, 0) if look_elsewhere else centres_px
    )
    rows = [
        _match(padded, inside, centre, place, patch_px, reach_px)
        for centre, place in zip(centres_px, places, strict=True)
    ]
    table: Points = np.array(rows, float).reshape(-1, 4)
    return Matches(
        np.asarray((centres_px + 0.5) * fixed.um_per_px, float),
        table[:, :2] * fixed.um_per_px,
        table[:, 2],
        table[:, 3],
    )


def _match(
    padded: list[list[Floats]],
    inside: Floats,
    centre: NDArray[np.intp],
    place: NDArray[np.intp],
    patch_px: int,
    reach_px: int,
) -> tuple[float, float, float, float]:
    """Return the shift (y, x) in pixels, the peak and its distinctness of one patch."""
    nothing = (0.0, 0.0, -1.0, -1.0)
    side = patch_px + 2 * reach_px
    y, x = place
    window = (slice(y, y + side), slice(x, x + side))
    covered = _sums(inside[window], patch_px) / patch_px**2
    total, n_channels = np.zeros(covered.shape), 0
    for fixed, moving in zip(*padded, strict=True):
        y, x = centre + reach_px
        patch = fixed[y : y + patch_px, x : x + patch_px].astype(float)
        patch -= patch.mean()
        spread = np.sqrt((patch**2).sum())
        if spread < _LEAST_STRUCTURE * patch_px:
            continue
        total += _correlation(patch / spread, moving[window].astype(float))
        n_channels += 1
    if n_channels == 0:
        return nothing
    score = np.where(covered >= _LEAST_INSIDE, total / n_channels, -1)
    row, column = np.unravel_index(score.argmax(), score.shape)
    if not (0 < row < 2 * reach_px and 0 < column < 2 * reach_px):
        return nothing
    peak = score[row, column]
    if peak <= 0:
        return nothing
    shift = np.array([row, column], float) - reach_px
    for axis, (low, high) in enumerate(
        (
            (score[row - 1, column], score[row + 1, column]),
            (score[row, column - 1], score[row, column + 1]),
        )
    ):
        bend = 2 * peak - low - high
        shift[axis] += np.clip((high - low) / 2 / max(bend, 1e-6), -0.5, 0.5)
    around = max(3, patch_px // 8)
    rest = score.copy()
    rest[
        max(0, row - around) : row + around + 1,
        max(0, column - around) : column + around + 1,
    ] = -1
    return shift[0], shift[1], peak, peak - rest.max()


def _correlation(
    patch: NDArray[np.float64], window: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the normalised correlation of a patch at every place in a window.

    The patch has mean 0 and norm 1.
    """
    side, n_places = len(patch), len(window) - len(patch) + 1
    size = fft.next_fast_len(len(window), real=True)
    shape = (size, size)
    product = fft.rfft2(window, shape) * np.conj(fft.rfft2(patch, shape))
    both = fft.irfft2(product, shape)[:n_places, :n_places]
    sums = _sums(window, side)
    spread = _sums(window**2, side) - sums**2 / side**2
    floor = (_LEAST_STRUCTURE * side / 2) ** 2
    correlation: NDArray[np.float64] = both / np.sqrt(np.maximum(spread, floor))
    return correlation


def _sums(image: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Return the sum over every square of a side that lies in an image."""
    table = np.pad(image.astype(float), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums: NDArray[np.float64] = (
        table[side:, side:]
        - table[:-side, side:]
        - table[side:, :-side]
        + table[:-side, :-side]
    )
    return sums
