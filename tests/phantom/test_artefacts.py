"""An artefact changes what its mask says, the same way every time."""

import numpy as np
import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.phantom.artefacts import Field, spoil
from napari_her2.phantom.artefacts_control import ControlCores
from napari_her2.phantom.artefacts_draw import ArtefactKind, draw_artefact
from napari_her2.phantom.artefacts_ink import PenColour, PenMark
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair

LOCAL = {
    ArtefactKind.PEN,
    ArtefactKind.FOLD,
    ArtefactKind.BUBBLE,
    ArtefactKind.DROPLETS,
    ArtefactKind.FOCUS_PATCH,
    ArtefactKind.CRUSH,
}


@pytest.fixture(scope="module", params=list(Stain))
def field(request):
    recipe = draw_recipe(4, width_um=700.0, height_um=600.0, mpp=2.0)
    pair = VirtualPair(recipe)
    box = BoxPx.of_shape(pair.shape_px(request.param))
    return Field(pair.render(request.param, box), 2.0, request.param)


@pytest.mark.parametrize("kind", ArtefactKind)
def test_the_mask_says_where_it_is(field, kind):
    before = field.image.copy()
    spoiled = draw_artefact(kind, 5, field).lay_over(field)
    again = draw_artefact(kind, 5, field).lay_over(field)
    assert np.array_equal(field.image, before)
    assert np.array_equal(spoiled.field.image, again.field.image)
    assert spoiled.mask.shape == before.shape[:2]
    assert spoiled.mask.any()
    changed = np.abs(spoiled.field.image.astype(int) - before).sum(-1)
    assert changed[spoiled.mask].mean() > 6
    if kind in LOCAL:
        assert changed[spoiled.mask].mean() > 5 * changed[~spoiled.mask].mean()


@pytest.mark.parametrize("colour", PenColour)
def test_ink_has_its_colour_over_glass(field, colour):
    glass = Field(np.full((200, 200, 3), 240, np.uint8), 2.0, field.stain)
    mark = PenMark(colour, ((0.0, 200.0), (400.0, 200.0)), 150.0)
    red, green, blue = mark.lay_over(glass).field.image[100, 100].astype(int)
    assert {
        PenColour.BLACK: max(red, green, blue) < 40,
        PenColour.BLUE: blue > green > red,
        PenColour.GREEN: min(green, blue) > 2 * red,
        PenColour.RED: red > 3 * max(green, blue),
    }[colour]


def test_artefacts_are_laid_one_over_the_other(field):
    both = [
        draw_artefact(kind, 2, field)
        for kind in (ArtefactKind.BUBBLE, ArtefactKind.PEN)
    ]
    last, steps = spoil(field, both)
    assert len(steps) == 2
    assert np.array_equal(last.image, both[1].lay_over(steps[0].field).field.image)


def test_control_cores_are_brown_by_their_score():
    glass = Field(np.full((250, 500, 3), 242, np.uint8), 4.0, Stain.IHC)
    spoiled = ControlCores((500.0, 1000.0), 400.0, seed=1).lay_over(glass)
    thirds = np.array_split(np.arange(500), 3)
    brown = []
    for part in thirds:
        pixels = spoiled.field.image[:, part][spoiled.mask[:, part]].astype(int)
        brown.append(float((pixels[:, 0] - pixels[:, 2]).mean()))
    assert brown[0] < brown[1] < brown[2]
    assert brown[2] > brown[0] + 15
