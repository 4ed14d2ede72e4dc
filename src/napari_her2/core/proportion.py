"""A value with its 95 % interval, and Wilson's interval of a proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether a value lies inside, the ends included."""
        return self.low <= value <= self.high

    def to_json(self) -> list[float | None]:
        """Return [value, low, high] with None for what is not defined."""
        return [
            round(v, 5) if math.isfinite(v) else None
            for v in (self.value, self.low, self.high)
        ]


def wilson(hits: int, n: int) -> Interval:
    """Return a proportion with Wilson's 95 % interval.

    Source: Wilson, J Am Stat Assoc 1927;22:209. It treats the n trials as
    independent, which regions of one slide are not, nor cells of one nest.

    Examples
    --------
    >>> wilson(5, 10).to_json()
    [0.5, 0.23659, 0.76341]
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    share, z2 = hits / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # at 0 and at n hits one end is the share itself, but for rounding
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == n else middle + half
    return Interval(share, low, high)
