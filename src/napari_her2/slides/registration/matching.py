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

    def and_also(self, others: Matches) -> Matches:
        """Return these and others."""
        mine, theirs = (
            (one.centres_um, one.shifts_um, one.peaks, one.distinct)
            for one in (self, others)
        )
        return Matches(*map(np.concatenate, zip(mine, theirs, strict=True)))

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


class PatchFinder:
    """Looks for patches of the fixed section on the moving one.

    Parameters
    ----------
    fixed, mapped
        The sections, the moving one as it lies on the fixed one.
    patch_px
        Side of a patch, even.
    reach_px
        How far from its place a patch is looked for.
    """

    def __init__(
        self, fixed: Section, mapped: Mapped, *, patch_px: int, reach_px: int
    ) -> None:
        self._um_per_px = fixed.um_per_px
        self._patch_px = patch_px
        self._reach_px = reach_px
        margin = patch_px // 2 + reach_px
        self._channels = [
            _Channel(
                np.pad(one, margin, mode="edge"), np.pad(other, margin, mode="edge")
            )
            for one, other in zip(fixed.channels, mapped.channels, strict=True)
        ]
        self._covered = _table(np.pad(mapped.inside.astype(np.float32), margin))

    def find(
        self, centres_px: NDArray[np.intp], places_px: NDArray[np.intp] | None = None
    ) -> Matches:
        """Look for patches.

        Parameters
        ----------
        centres_px
            (n, 2) in working pixels of the fixed section.
        places_px
            (n, 2), around where each is looked for; its own place when None.
        """
        places_px = centres_px if places_px is None else places_px
        rows = [
            self._match(centre, place)
            for centre, place in zip(centres_px, places_px, strict=True)
        ]
        table: Points = np.array(rows, float).reshape(-1, 4)
        return Matches(
            np.asarray((centres_px + 0.5) * self._um_per_px, float),
            table[:, :2] * self._um_per_px,
            table[:, 2],
            table[:, 3],
        )

    def _match(
        self, centre: NDArray[np.intp], place: NDArray[np.intp]
    ) -> tuple[float, float, float, float]:
        """Return shift (y, x) in pixels, peak and distinctness of one patch."""
        patch_px, reach_px = self._patch_px, self._reach_px
        nothing = (0.0, 0.0, -1.0, -1.0)
        inside = _sums(self._covered, place, patch_px, reach_px) / patch_px**2
        total, n_channels = np.zeros(inside.shape), 0
        y, x = centre + reach_px
        for channel in self._channels:
            patch = channel.fixed[y : y + patch_px, x : x + patch_px]
            patch = patch - patch.mean()
            spread = float(np.sqrt((patch**2).sum()))
            if spread < _LEAST_STRUCTURE * patch_px:
                continue
            total += _correlation(patch / spread, channel, place, reach_px)
            n_channels += 1
        if n_channels == 0:
            return nothing
        score = np.where(inside >= _LEAST_INSIDE, total / n_channels, -1)
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


class _Channel:
    """One kind of image of both sections, with sums of the moving one.

    The moving section is centred, so that its sums of squares keep their precision.
    """

    def __init__(self, fixed: Floats, moving: Floats) -> None:
        self.fixed = fixed
        self.moving = moving - moving.mean()
        self.sums = _table(self.moving)
        self.squares = _table(self.moving.astype(float) ** 2)


def _correlation(
    patch: Floats, channel: _Channel, place: NDArray[np.intp], reach_px: int
) -> NDArray[np.float64]:
    """Return the normalised correlation of a patch at every shift within reach.

    The patch has mean 0 and norm 1.
    """
    side = len(patch)
    y, x = place
    whole = side + 2 * reach_px
    size = fft.next_fast_len(whole, real=True)
    shape = (size, size)
    window = channel.moving[y : y + whole, x : x + whole]
    product = fft.rfft2(window, shape) * np.conj(fft.rfft2(patch, shape))
    n_shifts = 2 * reach_px + 1
    both = fft.irfft2(product, shape)[:n_shifts, :n_shifts]
    sums, squares = (
        _sums(table, place, side, reach_px) for table in (channel.sums, channel.squares)
    )
    floor = (_LEAST_STRUCTURE * side / 2) ** 2
    correlation: NDArray[np.float64] = both / np.sqrt(
        np.maximum(squares - sums**2 / side**2, floor)
    )
    return correlation


def _table(image: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sums of all that lies above and to the left of each corner."""
    sums: NDArray[np.float64] = (
        np.pad(image.astype(float), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    )
    return sums


def _sums(
    table: NDArray[np.float64], place: NDArray[np.intp], side: int, reach_px: int
) -> NDArray[np.float64]:
    """Return the sums over the squares at every shift within reach of a place."""
    y, x = place
    n_shifts = 2 * reach_px + 1
    near, far = (slice(0, n_shifts), slice(side, side + n_shifts))
    part = table[y : y + side + n_shifts, x : x + side + n_shifts]
    sums: NDArray[np.float64] = (
        part[far, far] - part[near, far] - part[far, near] + part[near, near]
    )
    return sums
