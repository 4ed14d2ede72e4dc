"""Frozen values that the window draws: how a run stands, what a reader is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunPhase(StrEnum):
    """Where a run stands."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Progress of the last run, with the figures a reader waits by.

    ``tiles_per_s`` counts computed tiles only, tiles from the store are free.
    """

    phase: RunPhase = RunPhase.IDLE
    n_done: int = 0
    n_tiles: int = 0
    n_cached: int = 0
    tiles_per_s: float = 0.0
    message: str = ""

    @property
    def is_running(self) -> bool:
        """Whether tiles are being computed now."""
        return self.phase is RunPhase.RUNNING

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, None while there is no rate yet."""
        if not self.is_running or self.tiles_per_s <= 0:
            return None
        return (self.n_tiles - self.n_done) / self.tiles_per_s

    @property
    def sentence(self) -> str:
        """One line for the dock."""
        if self.phase is RunPhase.IDLE:
            return ""
        if self.phase is RunPhase.FAILED:
            return self.message
        tiles = f"{self.n_done} of {self.n_tiles} tiles"
        if self.n_cached:
            tiles += f" ({self.n_cached} known before)"
        if self.phase is not RunPhase.RUNNING:
            return f"{self.phase.value.capitalize()}: {tiles}"
        left = self.seconds_left
        if left is None:
            return tiles
        return f"{tiles}, {self.tiles_per_s:.2g} tiles/s, {left:.0f} s left"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader should know, with what to do about it."""

    text: str
    is_error: bool = False
