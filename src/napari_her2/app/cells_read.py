"""What was read from the cells of an IHC slide: frozen values a window draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_her2.app.run_plan import is_view_region
from napari_her2.core.region import Region

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from napari_her2.cells.call import CellCall

OWN_REGION = "in your region, without its lymphocytes and stroma"
PROPOSAL = "tumour proposed by the software: draw a region to say where it is"


def tumour_words(region: Region) -> str:
    """Return who said where the tumour of a region is."""
    return PROPOSAL if is_view_region(region.region_id) else OWN_REGION


@dataclass(frozen=True, slots=True)
class CellWork:
    """What is being done about cells; idle where ``doing`` is empty."""

    doing: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class CellsFound:
    """The cells of a region as software read them, ``mpp`` that of their pixels.

    ``made`` says how, see :mod:`napari_her2.cells.provenance`; ``controls`` whether
    control tissue set the thresholds, ``doubt`` what makes the stain doubtful.
    """

    region: Region
    cells: pa.Table
    mpp: float
    made: dict[str, Any] = field(default_factory=dict)
    controls: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CellsRead:
    """The same with the readers' words in it, and the call that follows.

    ``cells`` are all cells of the region, those of the tumour marked; ``judged``
    (n,) tells on which of them a reader gave a word.
    """

    found: CellsFound
    cells: pa.Table
    judged: NDArray[np.bool_]
    call: CellCall

    @property
    def region(self) -> Region:
        """Where the cells lie, in level-0 pixels of the reference slide."""
        return self.found.region

    @property
    def tumour_words(self) -> str:
        """Who said where the tumour is."""
        return tumour_words(self.region)

    @property
    def n_judged(self) -> int:
        """Number of cells that a reader looked at."""
        return int(self.judged.sum())
