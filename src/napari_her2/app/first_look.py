"""Whether the model knows the slides of a case, looked at before anything is run.

The look is that of the command line (:mod:`napari_her2.inference.screening`) and
gives the same answer. It loads torch and reads blocks of each slide, so a window
takes it off the main thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from napari_her2.core.progress import Progress
from napari_her2.core.score import Stain

if TYPE_CHECKING:
    from napari_her2.models.bundle import Bundle
    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.slide import Slide

Key = tuple[str, Stain, str, float | None]


@dataclass(frozen=True, slots=True)
class SlidesRefused:
    """Why slides cannot be assessed; the run ends with it."""

    sentences: tuple[str, ...]


class FirstLook:
    """Looks once at each slide for each model; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reasons: dict[Key, str] = {}

    def known(self, pair: SlidePair, bundle: Bundle) -> tuple[str, ...] | None:
        """Return what an earlier look found, None where a slide is still unseen."""
        slides = _slides(pair, bundle)
        if any(_key(bundle, *each) not in self._reasons for each in slides):
            return None
        return self._sentences(bundle, slides)

    def look(self, pair: SlidePair, bundle: Bundle) -> tuple[str, ...]:
        """Return sentences about the slides that cannot be assessed.

        A bundle that holds nothing to tell by refuses none.

        Raises
        ------
        Her2Error
            If slides or bundle cannot be read, or the bundle cannot run on them.
        """
        slides = _slides(pair, bundle)
        with self._lock:
            unseen = [s for s in slides if _key(bundle, *s) not in self._reasons]
            if unseen:
                self._screen(bundle, unseen)
        return self._sentences(bundle, slides)

    def before(
        self, pair: SlidePair, bundle: Bundle, run: Iterable[Progress]
    ) -> Iterator[Progress | SlidesRefused]:
        """Yield the steps of a run, or why it does not begin."""
        if refusals := self.look(pair, bundle):
            yield SlidesRefused(refusals)
        else:
            yield from run

    def _screen(self, bundle: Bundle, slides: list[tuple[Stain, Slide]]) -> None:
        from napari_her2.inference.screening import screen_image
        from napari_her2.models.statistics import read_statistics

        _, familiarity = read_statistics(bundle)
        for stain, slide in slides:
            reason = ""
            if familiarity is not None:
                seen = screen_image(slide, stain, familiarity, bundle.card.mpp)
                reason = seen.reason if seen.abstained else ""
            self._reasons[_key(bundle, stain, slide)] = reason

    def _sentences(
        self, bundle: Bundle, slides: Iterable[tuple[Stain, Slide]]
    ) -> tuple[str, ...]:
        refused: dict[str, list[str]] = {}
        for stain, slide in slides:
            if reason := self._reasons[_key(bundle, stain, slide)]:
                refused.setdefault(reason, []).append(stain.label)
        return tuple(
            f"{' and '.join(stains)} cannot be assessed: {reason}."
            for reason, stains in refused.items()
        )


def _slides(pair: SlidePair, bundle: Bundle) -> tuple[tuple[Stain, Slide], ...]:
    from napari_her2.inference.reading import TileReader

    return TileReader(pair, bundle.card).slides


def _key(bundle: Bundle, stain: Stain, slide: Slide) -> Key:
    return bundle.sha256, stain, slide.pixels, slide.mpp
