"""Restain an image by another one's Fourier amplitude, keeping its own phase.

Source: the FFT enhancer of AIDA (npj Precision Oncology 2024), with what its
code leaves out or gets wrong: the transform is over rows and columns, per channel
and not across channels; the amplitude may be mixed and limited to low
frequencies; values are clipped and never wrap; an image that would be clipped in
too many places is kept as it was. Structure is in the phase and stays; colour and
strength of the stain are in the amplitude. On IHC that strength is the label, so
IHC is refused, save for its haematoxylin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from skimage.color import hed_from_rgb, rgb_from_hed

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain


def swap_amplitude(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    mix: float = 1.0,
    window: float | None = None,
) -> NDArray[np.float64]:
    """Give an image the Fourier amplitude of another, neither rounded nor clipped.

    Parameters
    ----------
    source, target
        Images (h, w) or (h, w, C) of equal shape.
    mix
        Share of the target's amplitude in [0, 1]; 1 replaces the source's.
    window
        Highest frequency that changes, in cycles per pixel along each axis, up
        to 0.5; None changes all.

    Raises
    ------
    UsageError
        If the shapes differ or ``mix`` or ``window`` is out of range.
    """
    if source.shape != target.shape:
        raise UsageError(
            f"Images of shape {source.shape} and {target.shape} do not fit.",
            "Give images of one shape.",
        )
    if not 0 <= mix <= 1 or not (window is None or 0 <= window <= 0.5):
        raise UsageError(
            f"mix {mix} or window {window} is out of range.",
            "Give a mix from 0 to 1 and a window from 0 to 0.5.",
        )
    height, width = source.shape[:2]
    ours, theirs = (np.fft.rfft2(image, axes=(0, 1)) for image in (source, target))
    share = np.full((height, width // 2 + 1), mix)
    if window is not None:
        rows = np.abs(np.fft.fftfreq(height))[:, None] <= window
        share = share * (rows & (np.fft.rfftfreq(width)[None] <= window))
    share = share.reshape(*share.shape, *[1] * (source.ndim - 2))
    amplitude = (1 - share) * np.abs(ours) + share * np.abs(theirs)
    swapped = amplitude * np.exp(1j * np.angle(ours))
    return np.fft.irfft2(swapped, s=(height, width), axes=(0, 1))


@dataclass(frozen=True, slots=True)
class Restained:
    """What became of an image.

    ``image`` (h, w, 3) uint8; ``clipped_share`` of its pixels left the range 0 to
    255 in some channel; where that was too many, ``accepted`` is False and the
    image is the source's.
    """

    image: NDArray[np.uint8]
    clipped_share: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class FourierEnhancer:
    """Restains images for training; the same random numbers give the same image.

    Parameters
    ----------
    chance
        How often an image is restained at all; AIDA's code has 0.4.
    mix, window
        See :func:`swap_amplitude`.
    most_clipped
        Largest share of clipped pixels that is accepted.
    """

    chance: float = 0.4
    mix: float = 1.0
    window: float | None = None
    most_clipped: float = 0.05

    def __call__(
        self,
        source: NDArray[np.uint8],
        targets: Sequence[NDArray[np.uint8]],
        rng: Rng,
        stain: Stain,
        *,
        haematoxylin_only: bool = False,
    ) -> NDArray[np.uint8]:
        """Restain an image by one of the targets, or leave it."""
        _refuse_label(stain, haematoxylin_only)
        if rng.random() >= self.chance or not targets:
            return source
        target = targets[int(rng.integers(len(targets)))]
        return self.restain(
            source, target, stain, haematoxylin_only=haematoxylin_only
        ).image

    def restain(
        self,
        source: NDArray[np.uint8],
        target: NDArray[np.uint8],
        stain: Stain,
        *,
        haematoxylin_only: bool = False,
    ) -> Restained:
        """Restain an image (h, w, 3) by another of the same stain.

        Raises
        ------
        UsageError
            If the stain is IHC and not only its haematoxylin may change.
        """
        _refuse_label(stain, haematoxylin_only)
        if haematoxylin_only:
            dyes, others = _dyes(source), _dyes(target)
            dyes[..., 0] = self._swap(dyes[..., 0], others[..., 0])
            values = 255 * 10 ** -(dyes @ rgb_from_hed)
        else:
            values = self._swap(source.astype(float), target.astype(float))
        image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        outside = ((values < -0.5) | (values > 255.5)).any(-1)
        share = float(outside.mean())
        if share > self.most_clipped:
            return Restained(source, share, accepted=False)
        return Restained(image, share, accepted=True)

    def _swap(
        self, source: NDArray[np.float64], target: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return swap_amplitude(source, target, mix=self.mix, window=self.window)


def _dyes(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return amounts of haematoxylin, eosin and DAB, (h, w, 3), also negative ones."""
    density = -np.log10(np.maximum(image, 1) / 255)
    return np.asarray(density @ hed_from_rgb, float)


def _refuse_label(stain: Stain, haematoxylin_only: bool) -> None:
    if stain is Stain.IHC and not haematoxylin_only:
        raise UsageError(
            "Restaining IHC would change how strong its DAB is, which is the label.",
            "Allow its haematoxylin only, or restain H&E.",
        )
