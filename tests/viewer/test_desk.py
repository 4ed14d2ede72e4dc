from napari.utils.shortcuts import default_shortcuts

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.viewer.desk import _KEYS, bind_keys, desk_of
from napari_her2.viewer.viewport import view_box_px


def test_no_key_of_ours_is_a_key_of_napari():
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert "Shift+V" in taken
    assert {key.replace("-", "+") for key in _KEYS}.isdisjoint(taken)


def test_the_next_region_key_walks_through_all_and_shows_each(open_desk):
    boxes = [BoxPx(0, 0, 50, 50), BoxPx(300, 400, 380, 500)]
    open_desk.session.set_regions(
        tuple(Region.from_box(f"r{n}", f"R{n}", box) for n, box in enumerate(boxes))
    )
    open_desk.session.select("r1")
    bind_keys(open_desk.viewer)
    keys = {str(key): act for key, act in open_desk.viewer.keymap.items()}
    walked = []
    for _ in range(3):
        keys["Shift+N"](open_desk.viewer)
        walked.append(open_desk.session.state.selected_id)
        seen = view_box_px(open_desk.viewer, 0.5)
        box = boxes[int(walked[-1][1])]
        assert seen.intersect(box) == box
    assert walked == ["r0", "r1", "r0"]


def test_a_viewer_keeps_its_desk(open_desk):
    assert desk_of(open_desk.viewer) is open_desk
