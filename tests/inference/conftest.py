import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

# the fakes are also imported by a program of their own, which a test kills
sys.path.insert(0, str(Path(__file__).parent))

from inference_fakes import MPP, bundle_of, speckled_pair, write_slide


@pytest.fixture(scope="session")
def he_pair(tmp_path_factory):
    pair = speckled_pair(tmp_path_factory.mktemp("slides"))
    yield pair
    pair.he.close()


@pytest.fixture
def bundle(tmp_path):
    return bundle_of(tmp_path)


@pytest.fixture
def slide(tmp_path):
    """Write an image as a slide and open it; closed after the test."""
    with ExitStack() as stack:
        yield lambda name, image, mpp=MPP: stack.enter_context(
            write_slide(tmp_path / name, image, mpp)
        )
