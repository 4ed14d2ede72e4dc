import numpy as np
import pytest

from napari_her2.cells.table import CELL_COLUMNS, cell_table


@pytest.fixture
def make_cells():
    """Build tumour cells on a grid of 20 px, with the patterns given in order."""

    def make(*patterns, **columns):
        n = len(patterns)
        values = {name: np.zeros(n) for name in CELL_COLUMNS}
        values["outline_um"] = np.full((n, 36), 4.0)
        values["y_px"], values["x_px"] = (
            20.0 * (np.arange(n) // 50),
            20.0 * (np.arange(n) % 50),
        )
        values["is_tumour"] = np.ones(n, bool)
        values["pattern"] = np.array(patterns, np.int8)
        values["intensity"] = np.array(patterns, np.int8)
        values["completeness"] = np.array(patterns) / 4
        values["membrane_od"] = np.array(patterns) / 10
        return cell_table(**{**values, **columns})

    return make
