"""How well two sections lie on each other, said in µm and as a light."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from napari_her2.core.error_map import ErrorMap, is_number
from napari_her2.core.geometry import Affine
from napari_her2.core.transform import Transform

LEAST_LOOKED: Final = 20
"""Places to look for; with fewer nothing can be said of the error."""

LEAST_CHECKED: Final = 1 / 3
"""Share of the tissue of a section."""


class Light(StrEnum):
    """What may be done with a registration."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class ErrorLimits:
    """Largest 90th percentile of the error for green and for amber, in µm."""

    green_um: float = 25.0
    red_um: float = 100.0

    def light(self, error_um: float) -> Light:
        """Return the light of an error; red where it is NaN."""
        if not error_um <= self.red_um:
            return Light.RED
        return Light.GREEN if error_um <= self.green_um else Light.AMBER


@dataclass(frozen=True, slots=True)
class RegistrationError:
    """What places that were never used for fitting say of a registration.

    Parameters
    ----------
    median_um, p90_um
        Distance between where the map says a place lies and where it was found,
        NaN where too few were, or so far off that chance may have found them.
    n_found, n_looked
        Places recognised, and looked for; places overlap.
    n_chance
        How many would be recognised by chance; None where a person recognised them.
    local
        The error square by square; None where places are too few for that.
    """

    median_um: float
    p90_um: float
    n_found: int
    n_looked: int
    n_chance: float | None = None
    local: ErrorMap | None = None

    @property
    def is_evident(self) -> bool:
        """Whether clearly more places were recognised than chance would."""
        if math.isnan(self.p90_um):
            return False
        if self.n_chance is None:
            return True
        spread = 6 * max(self.n_chance, 1.0) ** 0.5
        return bool(self.n_found >= self.n_chance + spread)

    @property
    def is_told(self) -> bool:
        """Whether there was enough tissue to look at."""
        return self.n_chance is None or self.n_looked >= LEAST_LOOKED

    def light(self, limits: ErrorLimits) -> Light:
        """Return what may be done: red is off limits, amber with care.

        The whole and the map of it must both hold; green also needs that a third of
        the tissue is checked: that a part of one section is missing is no error.
        """
        if not self.is_told:
            return Light.AMBER
        light = limits.light(self.p90_um) if self.is_evident else Light.RED
        if self.local is None or light is Light.RED:
            return light
        whole = self.local.whole
        is_known = whole.checked >= LEAST_CHECKED
        by_map = limits.light(whole.p90_um) if is_known else Light.AMBER
        return max(light, by_map, key=list(Light).index)

    def sentence(self, *, known: bool = True) -> str:
        """Return what was found, in words.

        Parameters
        ----------
        known
            Whether µm are µm; else they are pixels of the H&E slide.
        """
        if not self.is_told:
            return "too little tissue to check how the slides lie"
        if not self.is_evident:
            return (
                f"{self.n_found} of {self.n_looked} places were recognised, "
                "scattered as by chance"
            )
        unit = "µm" if known else "px"
        return (
            f"error {_short(self.median_um)} {unit} (median), "
            f"{_short(self.p90_um)} {unit} (90th percentile) at {self.n_found} places"
        )


@dataclass(frozen=True, slots=True)
class Registration:
    """One version of how an IHC section lies on its H&E section.

    Parameters
    ----------
    transform
        From ``"he"`` to ``"ihc"``.
    error
        None where nothing was checked, as for the identity.
    method
        How it came about, in words: what is shown and journaled.
    """

    transform: Transform
    error: RegistrationError | None
    method: str

    @classmethod
    def of_affine(cls, affine: Affine, method: str) -> Registration:
        """Return an affine map that nobody checked."""
        steps = () if affine.is_identity else (affine,)
        return cls(Transform("he", "ihc", steps), None, method)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; see :meth:`from_json`."""
        error = self.error
        return {
            "transform": self.transform.to_json(),
            "method": self.method,
            "error": None
            if error is None
            else {
                "median_um": _or_none(error.median_um),
                "p90_um": _or_none(error.p90_um),
                "n_found": error.n_found,
                "n_looked": error.n_looked,
                "n_chance": None
                if error.n_chance is None
                else round(error.n_chance, 3),
                "local": None if error.local is None else error.local.to_json(),
            },
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Registration:
        """Build from plain values; further fields are left alone.

        Raises
        ------
        ValueError
            If a field is missing or its value makes no registration.
        """
        match fields:
            case {"transform": dict(transform), "method": str(method), "error": error}:
                return cls(Transform.from_json(transform), _error(error), method)
        raise ValueError("it lacks a transform, a method or an error")


NOT_REGISTERED: Final = Registration.of_affine(Affine(), "identity")
"""The slides as they were scanned, one corner on the other."""


def _error(fields: Any) -> RegistrationError | None:
    match fields:
        case None:
            return None
        case {
            "median_um": median,
            "p90_um": p90,
            "n_found": int(n_found),
            "n_looked": int(n_looked),
            "n_chance": chance,
        } if all(value is None or is_number(value) for value in (median, p90, chance)):
            local = fields.get("local")  # journals before there was one have none
            if 0 <= n_found <= n_looked and isinstance(local, dict | None):
                return RegistrationError(
                    math.nan if median is None else float(median),
                    math.nan if p90 is None else float(p90),
                    n_found,
                    n_looked,
                    None if chance is None else float(chance),
                    None if local is None else ErrorMap.from_json(local),
                )
    raise ValueError("its error is no error of a registration")


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _or_none(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
