"""The slides of a case, open side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_her2.core.errors import CaseError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.registration import NOT_REGISTERED, Registration
from napari_her2.core.score import Stain
from napari_her2.core.transform import Transform
from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.case import Case, case_id_of
from napari_her2.slides.slide import Slide, open_slide


@dataclass(frozen=True, slots=True)
class SlidePair:
    """An H&E and/or IHC slide, and how points go from one to the other.

    ``registration`` maps (y, x) µm from the corner of the H&E slide to µm on the
    IHC slide, and says how that is known (``"identity"``: nobody registered them).
    """

    he: Slide | None
    ihc: Slide | None
    registration: Registration = NOT_REGISTERED

    def __post_init__(self) -> None:
        if self.he is None and self.ihc is None:
            raise ValueError("a pair needs an H&E or an IHC slide")

    @property
    def reference(self) -> Slide:
        """The slide that regions and tiles are counted on: H&E, else IHC."""
        return self.slides[0][1]

    @property
    def he_to_ihc(self) -> Transform:
        """From the H&E to the IHC slide, exactly."""
        return self.registration.transform

    @property
    def he_to_ihc_um(self) -> Affine:
        """The affine map that comes nearest over the H&E slide, to draw with."""
        if self.he is None:
            return Affine()
        whole = BoxPx.of_shape(self.he.shape).to_um(self.he.mpp or 1.0)
        return self.he_to_ihc.nearest_affine(whole)

    def same_slides(
        self, other: SlidePair | None, *, as_registered: bool = False
    ) -> bool:
        """Whether another pair holds the same open slides.

        Parameters
        ----------
        as_registered
            Whether they must lie on each other in the same way, too.
        """
        if other is None or self.slides != other.slides:
            return False
        return not as_registered or self.he_to_ihc == other.he_to_ihc

    @property
    def slides(self) -> tuple[tuple[Stain, Slide], ...]:
        """The slides that are there, H&E first."""
        both = ((Stain.HE, self.he), (Stain.IHC, self.ihc))
        return tuple((stain, slide) for stain, slide in both if slide is not None)

    @property
    def fingerprints(self) -> tuple[tuple[str, str], ...]:
        """Pairs of stain and slide fingerprint: which pixels these are, H&E first."""
        return tuple((stain.value, slide.fingerprint) for stain, slide in self.slides)

    def close(self) -> None:
        """Close both slides."""
        for _, slide in self.slides:
            slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_loose(
    he: Path | None, ihc: Path | None, *, use_profile: bool = True
) -> tuple[Case, SlidePair]:
    """Open slide files without a manifest, each once, and make their case.

    The case is that of :func:`.case_of_files`, which has to read both slides only
    to name them.

    Raises
    ------
    CaseError
        If no file is given.
    SlideError
        As :func:`open_pair`.
    """
    if he is None and ihc is None:
        raise CaseError("case", "no slide was given.", "Give an H&E or an IHC slide.")
    pair = open_pair(Case("", he, ihc), use_profile=use_profile)
    prints = ("" if one is None else one.fingerprint for one in (pair.he, pair.ihc))
    return Case(case_id_of(*prints), he, ihc), pair


def open_pair(case: Case, *, use_profile: bool = True) -> SlidePair:
    """Open the slides of a case, each checked against its stain.

    ``use_profile`` is that of :func:`.open_slide`. Both slides keep their decoded
    blocks under one bound.

    Raises
    ------
    SlideError
        If a slide cannot be read or is not the stain it is given as; the other
        one is closed again.
    """
    opened: dict[Stain, Slide] = {}
    cache = BlockCache()
    try:
        for stain, mpp in ((Stain.HE, case.he_mpp), (Stain.IHC, case.ihc_mpp)):
            path = case.path_of(stain)
            if path is not None:
                slide = open_slide(
                    path, stain=stain, use_profile=use_profile, cache=cache
                )
                opened[stain] = slide
                if mpp is not None:
                    opened[stain] = slide.with_mpp(mpp)
        return SlidePair(
            opened.get(Stain.HE),
            opened.get(Stain.IHC),
            Registration.of_affine(case.he_to_ihc_um, case.transform_source),
        )
    except BaseException:
        for slide in opened.values():
            slide.close()
        raise
