"""Nothing a file says of a person is seen in the window, its layers or pictures."""

import json
import logging

import pytest
from planting import WORDS, secrets_below, secrets_in
from qtpy.QtWidgets import QWidget

from napari_her2 import plugin
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.score import Score
from napari_her2.viewer.desk import desk_of

PLUGIN = "napari-her2"


@pytest.fixture
def viewer(npe2pm, plugin_settings, own_folders, make_napari_viewer, qtbot):
    with npe2pm.tmp_plugin(package=PLUGIN):
        made = make_napari_viewer()
        yield made
        compare = made.window.dock_widgets.get(f"Compare ({PLUGIN})")
        panes = [] if compare is None else [compare.real, compare.synthetic]
        models = [made, *(pane.twin.model for pane in panes)]
        qtbot.waitUntil(lambda: all(x.loaded for m in models for x in m.layers))
        desk_of(made).close_case()
        qtbot.wait(50)


def texts_of(widget: QWidget) -> list[str]:
    """Return all that a widget and what is in it may show or say."""
    found = []
    for one in [widget, *widget.findChildren(QWidget)]:
        for ask in (
            "text", "toolTip", "windowTitle", "statusTip", "whatsThis", "title",
            "accessibleName", "accessibleDescription", "placeholderText",
            "toPlainText", "currentText", "objectName",
        ):  # fmt: skip
            answer = getattr(one, ask, None)
            if callable(answer):
                found.append(str(answer()))
        if hasattr(one, "actions"):
            found += [f"{a.text()} {a.toolTip()}" for a in one.actions()]
        model = getattr(one, "model", None)
        rows = model() if callable(model) else None
        if hasattr(rows, "rowCount"):
            for row in range(rows.rowCount()):
                for index in (rows.index(row, column) for column in range(8)):
                    if index.isValid():
                        found += [str(rows.data(index, role)) for role in (0, 3, 13)]
    return found


def words_of(viewer) -> str:
    """Return all text of a viewer's window and layers."""
    found = [viewer.title, str(viewer.status), str(viewer.help)]
    found += texts_of(viewer.window._qt_window)
    compare = viewer.window.dock_widgets.get(f"Compare ({PLUGIN})")
    models = [viewer, compare.real.twin.model, compare.synthetic.twin.model]
    for model in models:
        found.append(model.canvas.overlays.text.text)
        for layer in model.layers:
            found += [layer.name, repr(layer.metadata), repr(layer.source)]
            found += [repr(layer.name_overlay), repr(getattr(layer, "features", ""))]
            found.append(json.dumps(layer.get_status(), default=str))
            found.append(repr(layer.as_layer_data_tuple()[1]))  # what a writer gets
    return "\n".join(found)


def logged(caplog) -> list[str]:
    """Return what was logged, but for what napari's plug-in engine says when traced.

    At DEBUG, off unless a developer asks for it, npe2 names each path that napari is
    told to open, before any plug-in is asked.
    """
    return [
        f"{record.name} {record.getMessage()} {record.exc_text}"
        for record in caplog.records
        if not (record.name.startswith("npe2") and record.levelno <= logging.DEBUG)
    ]


@pytest.mark.gl
@pytest.mark.parametrize("kind", ["SVS", "OME-TIFF"])
def test_the_window_shows_and_keeps_nothing(
    viewer, plant, tiny_bundle_path, own_folders, qtbot, caplog, capfd, kind
):
    caplog.set_level(logging.DEBUG)
    planted = plant(kind)
    desk = desk_of(viewer)
    desk.session.state.reader_name = "Dr A"
    desk.session.choose_bundle(tiny_bundle_path)
    plugin.open_review_workspace(viewer)
    viewer.open(planted.manifest, plugin=PLUGIN)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 80, 90), 14.0
    desk.stage.follow_view()
    desk.run(RunTarget.VIEW)
    qtbot.waitUntil(lambda: not desk.runner.is_busy, timeout=60_000)
    assert desk.session.state.run.phase == "finished"
    desk.stage.refresh_overlays()
    review = viewer.window.dock_widgets[f"Review ({PLUGIN})"]
    review.first_read.scores[Score.ONE].click()
    review.decision.reveal.click()
    desk.session.reading.confirm()
    review.export_to(own_folders / "export")
    said = [words_of(viewer)]
    assert "Exported" in said[0]
    assert "case-17" in said[0]
    viewer.screenshot(own_folders / "canvas.png", canvas_only=True, flash=False)
    viewer.screenshot(own_folders / "window.png", canvas_only=False, flash=False)

    broken = planted.folder / f"{WORDS} broken{planted.he.suffix}"
    broken.write_bytes(planted.he.read_bytes()[:9000])
    desk.open_slides(broken)
    assert desk.session.state.notice.is_error
    said.append(words_of(viewer))
    given = json.loads(planted.manifest.read_text())
    bad = planted.folder / f"{WORDS} bad.her2case.json"
    bad.write_text(json.dumps(given | {"he": f"{WORDS}.svs"}))
    viewer.open(bad, plugin=PLUGIN)
    said.append(words_of(viewer))
    desk.open_slides(planted.he, planted.ihc)
    said.append(words_of(viewer))

    printed = capfd.readouterr()
    said += [printed.out, printed.err, *logged(caplog)]
    assert [
        line for text in said for line in text.splitlines() if secrets_in(line)
    ] == []
    assert secrets_below(own_folders) == []


def test_the_search_finds_what_a_window_would_show(qtbot):
    from qtpy.QtWidgets import QLabel, QListWidget, QVBoxLayout

    outer = QWidget()
    qtbot.addWidget(outer)
    column = QVBoxLayout(outer)
    label, rows = QLabel(WORDS), QListWidget()
    column.addWidget(label)
    column.addWidget(rows)
    assert secrets_in("\n".join(texts_of(outer)))
    label.setText("")
    assert not secrets_in("\n".join(texts_of(outer)))
    label.setToolTip(WORDS)
    assert secrets_in("\n".join(texts_of(outer)))
    label.setToolTip("")
    rows.addItem(WORDS)
    assert secrets_in("\n".join(texts_of(outer)))
