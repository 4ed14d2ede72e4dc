"""How the slides of a case lie on each other, settled before a run reads both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_her2.app.pairing import error_in, light_of
from napari_her2.cli.progress import follow_registration
from napari_her2.core.errors import NotReadyError, UsageError
from napari_her2.core.region import Region
from napari_her2.core.registration import NOT_REGISTERED, ErrorLimits, Light
from napari_her2.slides.pair import SlidePair

_SAME_SCALE = 0.01


def settled(pair: SlidePair, transform: Path | None) -> SlidePair:
    """Return a pair with a registration that two-stain results may rest on.

    A pair that nobody registered is registered now; ``transform`` is a file that
    ``register`` wrote, which stands above what the case says.

    Raises
    ------
    UsageError
        If the file was made with other scales.
    NotReadyError
        If the slides do not lie on each other.
    """
    he, ihc = pair.he, pair.ihc
    if he is None or ihc is None or he.mpp is None or ihc.mpp is None:
        return pair
    if transform is not None:
        from napari_her2.slides.registration.files import read_registration

        file = read_registration(transform)
        for made, slide in ((file.he_mpp, he.mpp), (file.ihc_mpp, ihc.mpp)):
            if not file.scale_known or abs(made - slide) > _SAME_SCALE * slide:
                raise UsageError(
                    f"The transform was made at {made:g} µm/px, the slide has "
                    f"{slide:g}.",
                    "Register these slides again.",
                )
        pair = replace(pair, registration=file.registration)
    elif pair.registration == NOT_REGISTERED:
        found = follow_registration(he, ihc)
        pair = replace(pair, registration=found.registration)
    if light_of(pair.registration, ErrorLimits()) is Light.RED:
        raise NotReadyError(
            "H&E and IHC do not lie on each other.",
            "Look at them in the window, or run on one of them alone.",
        )
    return pair


def refuse_apart(pair: SlidePair, region: Region) -> None:
    """Refuse a region in which the slides do not lie on each other.

    Raises
    ------
    NotReadyError
        With how far they are apart there.
    """
    found = error_in(pair, region, ErrorLimits())
    if found is not None and found[1] is Light.RED:
        raise NotReadyError(
            f"H&E and IHC lie {found[0].p90_um:.0f} µm apart in this region.",
            "Look at them in the window, or choose another region.",
        )
