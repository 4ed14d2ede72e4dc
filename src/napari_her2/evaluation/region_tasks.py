"""What stages do to single regions, as tasks for a team."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from napari_her2.core.score import Stain
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.ladder import Climber, Ladder
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import Record, RegionScorer
from napari_her2.evaluation.shift import Shifted, Shifter
from napari_her2.evaluation.workspace import Part, Workspace


@dataclass(frozen=True, slots=True)
class Reconstruct:
    """Reconstruct the other stain from this one."""

    part: Part
    stain: Stain
    at_once: int = 1

    def prepare(self, space: Workspace) -> Callable[[int], Image]:
        """See :class:`~napari_her2.evaluation.team.Task`."""
        return partial(_reconstruct, space, space.open_part(self.part), self.stain)


@dataclass(frozen=True, slots=True)
class Score:
    """Score a region in all arms; a reconstruction serves its neighbour too."""

    part: Part
    at_once: int = 8

    def prepare(self, space: Workspace) -> Callable[[int], Record]:
        """See :class:`~napari_her2.evaluation.team.Task`."""
        regions = space.open_part(self.part)
        return RegionScorer(regions, space.arms, space.open_fakes(self.part))


@dataclass(frozen=True, slots=True)
class Climb:
    """Corrupt one stain, then the other."""

    part: Part
    at_once: int = 1

    def prepare(self, space: Workspace) -> Callable[[int], Ladder]:
        """See :class:`~napari_her2.evaluation.team.Task`."""
        return Climber(space.open_part(self.part), space.arms)


@dataclass(frozen=True, slots=True)
class Shift:
    """Move both stains away from what the bundle knows."""

    part: Part
    at_once: int = 1

    def prepare(self, space: Workspace) -> Callable[[int], Shifted]:
        """See :class:`~napari_her2.evaluation.team.Task`."""
        return Shifter(space.open_part(self.part), space.arms)


def _reconstruct(
    space: Workspace, regions: Regions, stain: Stain, region: int
) -> Image:
    return space.arms.reconstruct(stain, regions.tile(stain, region))
