import numpy as np
import pytest

from napari_her2.core.errors import UsageError
from napari_her2.evaluation.image_store import ImageStore


def test_what_was_stored_is_there_after_a_stop(tmp_path):
    store = ImageStore(tmp_path / "a" / "fakes", 3, 4)
    image = np.full((4, 4, 3), 7, np.uint8)
    store[1] = image
    assert store.missing == [0, 2]
    again = ImageStore(tmp_path / "a" / "fakes", 3, 4)
    assert again.missing == [0, 2]
    assert np.array_equal(again[1], image)
    with pytest.raises(UsageError, match="another evaluation"):
        ImageStore(tmp_path / "a" / "fakes", 3, 8)
