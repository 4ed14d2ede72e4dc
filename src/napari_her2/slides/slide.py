"""A slide: its pyramid, its scale, and a name for its content.

Opening never reads label or macro images, which may show a patient's name.
"""

from __future__ import annotations

import copy
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from napari_her2.core.errors import SlideError, UsageError
from napari_her2.core.score import Stain
from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.built_levels import BlockScratch, HalvedBlocks
from napari_her2.slides.colour import Colours
from napari_her2.slides.formats import open_source
from napari_her2.slides.guarded import open_guarded
from napari_her2.slides.halving import LAST_LEVEL_PX
from napari_her2.slides.level import Level
from napari_her2.slides.scale import MAX_MPP, MIN_MPP, plausible_mpp
from napari_her2.slides.source import SlideSource

MAX_PX_TO_BUILD_ON: Final = 1 << 30
"""The first view of a slide reads all of the level that others are built on."""


class Slide:
    """An open slide; close it, or use it in a ``with`` block.

    Attributes
    ----------
    path
        Where it was opened from; for reading the file, never for telling of it.
    name
        What the slide is called in words: its stain, or just a slide.
    fingerprint
        ``"blake2b:<hex>"`` of the content, see :mod:`.fingerprint`.
    mpp
        µm per pixel of level 0, None where the scale is unknown.
    colours
        Whether the pixels are as stored or in sRGB, see :mod:`.colour`.
    pixels
        Names the pixels as they are read: the fingerprint, and the conversion of
        their colours where there is one. Results belong to this.
    levels
        Finest first, each strictly smaller, the last at most about 1024 px;
        levels that the file lacks are built on demand.
    """

    def __init__(
        self,
        path: Path,
        source: SlideSource,
        cache: BlockCache | None = None,
        *,
        name: str = "Slide",
    ) -> None:
        self.path = path
        self.name = name
        self.fingerprint = source.fingerprint
        self.mpp: float | None = plausible_mpp(source.mpp)
        self.is_synthetic = source.is_synthetic
        self.colours = Colours(source.colours)
        self.pixels = "+".join(filter(None, (source.fingerprint, source.colours_key)))
        self._source = source
        self._cache = BlockCache() if cache is None else cache
        self._scratch = BlockScratch()
        levels = [Level(blocks, self._cache) for blocks in source.levels]
        if levels[-1].shape[0] * levels[-1].shape[1] > MAX_PX_TO_BUILD_ON:
            height, width, _ = levels[-1].shape
            raise SlideError(
                path,
                f"it lacks small levels below {width} × {height} px.",
                "Save it as a pyramidal TIFF.",
            )
        while max(levels[-1].shape) > LAST_LEVEL_PX:
            blocks = HalvedBlocks(levels[-1], len(levels), self._scratch)
            levels.append(Level(blocks, self._cache))
        self.levels = tuple(levels)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of level 0 in pixels."""
        return self.levels[0].shape[:2]

    def downsample(self, level: int) -> float:
        """Return how many level-0 pixels one pixel of a level spans.

        A level whose size is that of a whole factor, rounded up or down, has
        exactly that factor; else it is the mean ratio of the sides.
        """
        ratios = [
            full / side
            for full, side in zip(self.shape, self.levels[level].shape, strict=False)
        ]
        factor = round(max(ratios))
        is_whole = all(
            abs(full - side * factor) < factor
            for full, side in zip(self.shape, self.levels[level].shape, strict=False)
        )
        return float(factor) if is_whole else sum(ratios) / 2

    def with_mpp(self, mpp: float) -> Slide:
        """Return the same open slide with a scale given by a person.

        Both share the file: closing one closes the other.

        Raises
        ------
        UsageError
            If the value is not between 0.05 and 20 µm/px.
        """
        if plausible_mpp(mpp) is None:
            raise UsageError(
                f"{mpp:g} µm/px is no scale of a slide.",
                f"Give a value between {MIN_MPP:g} and {MAX_MPP:g}, such as 0.5.",
            )
        slide = copy.copy(self)
        slide.mpp = float(mpp)
        return slide

    def close(self) -> None:
        """Free the file and what was kept of it; safe to call twice."""
        self._source.close()
        self._scratch.close()
        for level in self.levels:
            level.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        scale = "scale unknown" if self.mpp is None else f"{self.mpp:g} µm/px"
        height, width = self.shape
        return f"<{self.name}: {width} × {height} px, {scale}>"


def open_slide(
    path: Path | str,
    *,
    stain: Stain | None = None,
    use_profile: bool = True,
    cache: BlockCache | None = None,
    in_process: bool = False,
) -> Slide:
    """Open a slide of any supported format, in a worker process of its own.

    Parameters
    ----------
    path
        A file, or the folder of an OME-Zarr image or a DICOM slide.
    stain
        What the slide is given as. The colours are then looked at, and an image
        that clearly has another stain, or is marked synthetic, is refused.
    use_profile
        Whether colours are brought to sRGB where the file has an ICC profile.
    cache
        Where decoded blocks are kept, to share its bound with other slides; one of
        its own when None.
    in_process
        Decode in this process, for files that this program wrote itself: without
        the worker's start and without its protection.

    Raises
    ------
    SlideError
        If it cannot be read, is no RGB slide, or is not that stain.
    """
    name = "Slide" if stain is None else f"{stain.label} slide"
    try:
        source = (
            open_source(Path(path), use_profile=use_profile)
            if in_process
            else open_guarded(Path(path), name=name, use_profile=use_profile)
        )
        return _open(Path(path), source, stain, name, cache)
    except SlideError as error:
        error.name_it(name)
        raise


def _open(
    path: Path,
    source: SlideSource,
    stain: Stain | None,
    name: str,
    cache: BlockCache | None,
) -> Slide:
    try:
        slide = Slide(path, source, cache, name=name)
    except BaseException:
        source.close()
        raise
    try:
        if stain is not None:
            from napari_her2.slides.stain_check import check_stain

            if slide.is_synthetic:
                raise SlideError(
                    path,
                    f"it is a synthetic image, not a real {stain.label} slide.",
                    "Open the slide that was scanned.",
                )
            check_stain(slide, stain)
    except BaseException:
        slide.close()
        raise
    return slide
