"""How the two slides of the open case lie on each other: versions, light, changes.

A registration that was found or set is in the journal before the window shows it.
Work on slides is handed out as a generator for any thread; what it yields comes
back through :meth:`Pairing.absorb`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_her2.app.status import Notice
from napari_her2.core.error_map import LocalError
from napari_her2.core.errors import NotReadyError, ReviewError
from napari_her2.core.geometry import Affine
from napari_her2.core.local_light import error_within
from napari_her2.core.registration import (
    NOT_REGISTERED,
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.core.transform import Transform
from napari_her2.review.events import AnyEvent, Registered, RegistrationSet

if TYPE_CHECKING:
    from napari_her2.app.state import SessionState
    from napari_her2.core.region import Region
    from napari_her2.review.events import RegionKey
    from napari_her2.review.journal import Journal
    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.slide import Slide

PointUm = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Landmark:
    """The same place on both slides, (y, x) µm from the corner of each."""

    he_um: PointUm
    ihc_um: PointUm


@dataclass(frozen=True, slots=True)
class Version:
    """A registration with its origin; ``reader`` is empty where software made it."""

    registration: Registration
    utc: datetime | None = None
    reader: str = ""


@dataclass(frozen=True, slots=True)
class PairingWork:
    """What is being computed about the pairing; idle where ``doing`` is empty.

    ``is_moving`` says that the slides will lie otherwise at its end.
    """

    doing: str = ""
    share: float = 0.0
    is_moving: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """The error of a registration that came without one."""

    registration: Registration


Step = PairingWork | Checked | Registered


class Pairing:
    """Commands on the registration of a session's slides.

    Parameters
    ----------
    state
        Of the session.
    journal
        Where versions are committed.
    """

    def __init__(self, state: SessionState, journal: Journal) -> None:
        self._state = state
        self._journal = journal
        self._key: RegionKey | None = None

    def restore(self, key: RegionKey, pair: SlidePair) -> SlidePair:
        """Return the pair as the journal left it, and take up its versions.

        ``key`` is that of the case as a whole.
        """
        self._key = key
        versions = [Version(pair.registration)]
        versions += _versions(self._journal.events(key.case_id), key)
        self._state.landmarks = ()
        self._state.pairing_work = PairingWork()
        self._state.versions = tuple(versions)
        return replace(pair, registration=versions[-1].registration)

    def forget(self) -> None:
        """Let go of a case that is closed."""
        self._key = None
        self._state.versions = ()
        self._state.landmarks = ()
        self._state.pairing_work = PairingWork()

    def why_not(self) -> str | None:
        """Return why slides cannot be registered now, None if they can."""
        pair = self._state.pair
        if pair is None or pair.he is None or pair.ihc is None:
            return "Open an H&E and an IHC slide first."
        if pair.he.mpp is None or pair.ihc.mpp is None:
            return "Enter the scale of both slides first."
        if self._state.pairing_work.doing:
            return "The slides are being registered or checked."
        return None

    @property
    def is_unasked(self) -> bool:
        """Whether these are slides without a manifest that nobody registered."""
        state = self._state
        return (
            state.case is not None
            and state.case.manifest_path is None
            and [version.registration.method for version in state.versions]
            == [NOT_REGISTERED.method]
            and self.why_not() is None
        )

    def begin(self) -> Iterator[Step]:
        """Return the registration of the open slides, for any thread.

        Raises
        ------
        NotReadyError
            If slides cannot be registered now.
        """
        return _register(*self._ready())

    def begin_check(self) -> Iterator[Step] | None:
        """Return what measures the error of the registration, None if it is known."""
        pair = self._state.pair
        if self.why_not() is not None or pair is None:
            return None
        if pair.registration.error is not None:
            return None
        return _check(*self._ready())

    def absorb(self, step: Step) -> None:
        """Take in what a registration or a check yielded."""
        match step:
            case PairingWork():
                self._state.pairing_work = step
            case Checked():
                *earlier, last = self._state.versions
                if last.registration.transform != step.registration.transform:
                    return  # moved since: the error is that of an earlier place
                self._hold((*earlier, replace(last, registration=step.registration)))
            case Registered():
                self._commit(step)

    def end(self, problem: str = "") -> None:
        """Note that the work ended, and why if it failed."""
        self._state.pairing_work = PairingWork()
        if problem:
            self._state.notice = Notice(problem, is_error=True)

    def add_landmark(self, landmark: Landmark) -> None:
        """Add a pair of places that the reader recognised on both slides."""
        self._state.landmarks = (*self._state.landmarks, landmark)

    def remove_landmark(self, index: int) -> None:
        """Take one away again."""
        marks = self._state.landmarks
        self._state.landmarks = (*marks[:index], *marks[index + 1 :])

    def landmark_distances_um(self) -> tuple[float, ...]:
        """Return how far each landmark lies off under the registration shown."""
        from napari_her2.slides.registration.landmarks import landmark_distances_um

        pair, marks = self._state.pair, self._state.landmarks
        if pair is None or not marks:
            return ()
        he, ihc = ([getattr(mark, side) for mark in marks] for side in _SIDES)
        return tuple(landmark_distances_um(pair.he_to_ihc, he, ihc).tolist())

    def refine(self) -> None:
        """Set the registration that fits the landmarks.

        Raises
        ------
        UsageError, ReviewError
            If they do not fix one, or no reader is named.
        """
        from napari_her2.slides.registration.landmarks import fit_landmarks

        he, ihc = (
            [getattr(mark, side) for mark in self._state.landmarks] for side in _SIDES
        )
        self._set(fit_landmarks(he, ihc))

    def nudge(
        self, shift_um: PointUm = (0.0, 0.0), turn_deg: float = 0.0, *, about: PointUm
    ) -> None:
        """Move the IHC as it lies on the H&E, by hand.

        Parameters
        ----------
        shift_um
            (y, x) in the frame of the H&E.
        turn_deg
            Clockwise on screen, about a point.
        about
            (y, x) µm on the H&E, usually the middle of the view.
        """
        pair = self._state.pair
        if pair is None:
            raise NotReadyError("No case is open.", "Open one first.")
        angle = np.deg2rad(turn_deg)
        turn = np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        middle = np.array(about)
        moved = Affine.from_matrix(
            np.column_stack([turn, middle + shift_um - turn @ middle])
        )
        before = Transform("he", "he", (moved.inverse(),))
        transform = before.then(pair.he_to_ihc)
        self._set(Registration(transform, None, "moved by hand"))

    def go_back_to(self, index: int) -> None:
        """Set an earlier version again, as a new one."""
        self._set(self._state.versions[index].registration)

    def _set(self, registration: Registration) -> None:
        reader = self._state.reader
        if self._key is None:
            raise NotReadyError("No case is open.", "Open one first.")
        if reader is None:
            raise ReviewError(
                "No reader is named.", "Enter your name in the Review dock first."
            )
        self._commit(
            RegistrationSet(
                key=self._key,
                utc=datetime.now(UTC),
                reader=reader,
                registration=registration,
            )
        )

    def _commit(self, event: Registered | RegistrationSet) -> None:
        self._journal.append(event)
        self._hold((*self._state.versions, _version(event)))

    def _hold(self, versions: tuple[Version, ...]) -> None:
        """Keep the versions; the open slides lie as the last one says."""
        self._state.versions = versions
        if self._state.pair is not None:
            last = versions[-1].registration
            self._state.pair = replace(self._state.pair, registration=last)

    def _ready(self) -> tuple[SlidePair, RegionKey]:
        problem = self.why_not()
        if problem or self._state.pair is None or self._key is None:
            raise NotReadyError(problem or "No case is open.", "Then try again.")
        return self._state.pair, self._key


_SIDES = ("he_um", "ihc_um")


def light_of(registration: Registration, limits: ErrorLimits) -> Light | None:
    """Return what may be done with a registration, None while nobody checked it."""
    error = registration.error
    return None if error is None else error.light(limits)


def why_not_both(registration: Registration, limits: ErrorLimits) -> str | None:
    """Return why the stains must not be read together, None if they may."""
    if light_of(registration, limits) is not Light.RED:
        return None
    return "H&E and IHC do not lie on each other. Register them in the Case dock."


def error_in(
    pair: SlidePair, region: Region, limits: ErrorLimits
) -> tuple[LocalError, Light | None] | None:
    """Return what is known of the error in a region, with its light.

    None where there is no map of it, the light None where it is not checked.
    """
    mpp = pair.reference.mpp
    if pair.he is None or mpp is None:
        return None
    outline_um = [(y * mpp, x * mpp) for y, x in region.vertices_yx]
    return error_within(pair.registration.error, outline_um, limits)


def why_not_both_in(pair: SlidePair, region: Region, limits: ErrorLimits) -> str | None:
    """Return why the stains must not be read together in a region."""
    found = error_in(pair, region, limits)
    if found is None or found[1] is not Light.RED:
        return None
    return (
        f"H&E and IHC lie {found[0].p90_um:.0f} µm apart in {region.name}. Choose "
        "another place, or register them again in the Case dock."
    )


def on_both(
    pair: SlidePair, regions: Iterable[Region], limits: ErrorLimits
) -> tuple[Region, ...]:
    """Return the regions that may be carried from the H&E to the IHC."""
    if pair.he is not None and why_not_both(pair.registration, limits):
        return ()
    return tuple(one for one in regions if not why_not_both_in(pair, one, limits))


def pairing_caution(pair: SlidePair, region: Region, limits: ErrorLimits) -> str:
    """Say what keeps one from trusting both stains in a region, empty if nothing."""
    found = error_in(pair, region, limits)
    if found is None or found[1] is Light.GREEN:
        return ""
    if found[1] is None:
        return "How H&E and IHC lie on each other is not checked here."
    return f"H&E and IHC lie up to {found[0].p90_um:.0f} µm apart here."


def _register(pair: SlidePair, key: RegionKey) -> Iterator[Step]:
    from napari_her2.slides.registration.files import RegistrationFile
    from napari_her2.slides.registration.register import register_slides

    he, ihc = _both(pair)
    for step in register_slides(he, ihc):
        if isinstance(step, RegistrationFile):
            yield Registered(
                key=key, utc=datetime.now(UTC), registration=step.registration
            )
        else:
            doing = f"Registering: {step.doing}"
            yield PairingWork(doing, step.share, is_moving=True)


def _check(pair: SlidePair, key: RegionKey) -> Iterator[Step]:
    from napari_her2.slides.registration.check import measure_slides

    yield PairingWork("Checking how the slides lie", 0.0)
    error: RegistrationError = measure_slides(*_both(pair), pair.he_to_ihc)
    yield Checked(replace(pair.registration, error=error))


def _both(pair: SlidePair) -> tuple[Slide, Slide]:
    if pair.he is None or pair.ihc is None:
        raise NotReadyError("This case has one slide.", "Open H&E and IHC.")
    return pair.he, pair.ihc


def _versions(events: Iterable[AnyEvent], key: RegionKey) -> list[Version]:
    return [
        _version(event)
        for event in events
        if isinstance(event, Registered | RegistrationSet) and event.key == key
    ]


def _version(event: Registered | RegistrationSet) -> Version:
    reader = event.reader.name if isinstance(event, RegistrationSet) else ""
    return Version(event.registration, event.utc, reader)
