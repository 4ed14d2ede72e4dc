"""Nothing a file says of a person comes out of a session or the command line."""

import json
import logging
import sys

import pytest
from planting import WORDS, WRITERS, secrets_below, secrets_in

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.cli import main
from napari_her2.core.errors import Her2Error
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Score, Stain
from napari_her2.review.journal import Journal


@pytest.fixture
def session(own_folders, tiny_bundle_path):
    with Journal(own_folders / "journal.sqlite") as journal:
        opened = Session(journal, cache_dir=own_folders / "cache")
        opened.state.reader_name = "Dr A"
        opened.choose_bundle(tiny_bundle_path)
        yield opened
        opened.close_case()


@pytest.fixture
def said(caplog, capfd):
    """Return all that was logged and printed so far."""
    caplog.set_level(logging.DEBUG)

    def everything():
        printed = capfd.readouterr()
        return f"{caplog.text}\n{printed.out}\n{printed.err}"

    return everything


def run(session, target):
    for step in session.begin_run(session.plan(target)):
        session.absorb(step)
    session.end_run(RunPhase.FINISHED)


def read_and_export(session, folder):
    """Run on a view and a region, read, decide, defer and export."""
    session.set_view(BoxPx(100, 100, 230, 230))
    run(session, RunTarget.VIEW)
    region = Region.from_box("r1", "Region 1", BoxPx(60, 60, 200, 200))
    session.set_regions((region,))
    run(session, RunTarget.REGIONS)
    session.select("r1")
    session.reading.first_read(Score.ONE)
    session.reading.reveal()
    session.reading.confirm()
    return session.reading.export(folder)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_session_tells_nothing(session, plant, said, own_folders, kind):
    planted = plant(kind)
    texts = []
    session.state.events.notice.connect(lambda notice: texts.append(repr(notice)))
    session.open_case(planted.manifest)
    texts += [repr(session.state.case), repr(session.state.pair)]
    assert session.state.case.case_id == "case-17"
    written = read_and_export(session, own_folders / "export")
    assert len(written) >= 2
    texts += [session.plan(target).tooltip for target in RunTarget]
    texts += [repr(session.state.reviewed), repr(session.state.run)]
    session.open_files(planted.he, planted.ihc)
    texts += [repr(session.state.case), repr(session.state.pair)]
    texts += [session.plan(target).tooltip for target in RunTarget]
    texts.append(said())
    assert secrets_in("\n".join(texts)) == []
    assert secrets_below(own_folders) == []
    assert (own_folders / "journal.sqlite").stat().st_size
    assert any((own_folders / "cache").rglob("*.json"))


@pytest.mark.parametrize("kind", WRITERS)
def test_the_command_line_tells_nothing(
    plant, said, own_folders, tiny_bundle_path, monkeypatch, kind
):
    planted, out = plant(kind), own_folders / "out"
    arguments = ["run", planted.manifest, "--region", "60,60,200,200", "--json"]
    arguments += ["--out", out, "--bundle", tiny_bundle_path]
    monkeypatch.setattr(sys, "argv", ["napari-her2", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert {path.name for path in out.iterdir()} >= {"run.json", "maps.zarr"}
    assert secrets_in(said()) == []
    assert secrets_below(own_folders) == []


def mistakes(planted):
    """Yield (name, act) of what can go wrong with the files of a case."""
    given = json.loads(planted.manifest.read_text())

    def manifest(name, **changes):
        path = planted.folder / f"{WORDS} {name}.her2case.json"
        path.write_text(json.dumps(given | changes))
        return lambda session: session.open_case(path)

    yield "missing", manifest("missing", he=f"{WORDS}.svs")
    yield "outside", manifest("outside", he=f"../{WORDS}.svs")
    yield "schema", manifest("schema", schema=WORDS)
    yield "scale", manifest("scale", he_mpp=WORDS)
    yield "transform", manifest("transform", he_to_ihc_um=[[WORDS, 0, 0], [0, 1, 0]])
    yield "exchanged", manifest("exchanged", he=given["ihc"], ihc=given["he"])
    yield "folder", lambda session: session.open_case(planted.folder)
    yield "nowhere", lambda session: session.open_case(planted.folder / WORDS)
    yield "no file", lambda session: session.open_files(planted.folder / WORDS, None)
    yield "no image", lambda session: session.open_files(planted.manifest, None)
    broken = planted.folder / f"{WORDS} broken{planted.he.suffix}"
    if planted.he.is_file():
        broken.write_bytes(planted.he.read_bytes()[: planted.he.stat().st_size // 2])
    else:
        broken.mkdir()
        first = min(path for path in planted.he.iterdir() if path.is_file())
        data = first.read_bytes()
        whole = first.suffix == ".json"  # what it tells of is not there
        (broken / first.name).write_bytes(data if whole else data[: len(data) // 2])
    yield "truncated", lambda session: session.open_files(broken, None)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_goes_wrong_is_told_without_names(session, plant, said, own_folders, kind):
    planted = plant(kind)
    told = []
    for name, act in mistakes(planted):
        with pytest.raises(Her2Error) as caught:
            act(session)
        told += [str(caught.value), repr(caught.value)]
        assert secrets_in("\n".join(told)) == [], name
    assert sum("Case: " in text for text in told) >= 6
    assert sum("H&E slide: " in text for text in told) >= 3
    assert secrets_in(said()) == []
    assert secrets_below(own_folders) == []


def test_a_slide_that_breaks_while_it_is_read_is_told_without_names(
    session, plant, said, own_folders
):
    planted = plant("SVS")
    session.open_case(planted.manifest)
    slide = session.state.pair.he
    process = slide._source.levels[0]._guard._decoder._process
    process.kill()
    process.wait()
    planted.he.unlink()
    slide._cache.clear()
    session.set_view(BoxPx(100, 100, 230, 230))
    with pytest.raises(Her2Error, match="H&E slide: the file is missing") as caught:
        run(session, RunTarget.VIEW)
    session.end_run(RunPhase.FAILED, str(caught.value))
    session.set_scale(Stain.HE, 5.0)
    texts = [session.state.run.sentence, session.plan(RunTarget.SLIDE).tooltip]
    assert "too coarse" in texts[1]
    texts.append(session.state.notice.text)
    blocked = own_folders / "blocked"
    blocked.write_text("a file, no folder")
    with pytest.raises(Her2Error) as caught:
        session.reading.export(blocked)
    texts += [str(caught.value), said()]
    assert secrets_in("\n".join(texts)) == []
    assert secrets_below(own_folders) == []


@pytest.mark.parametrize("what", ["no case", "broken", "exchanged"])
def test_the_command_line_fails_without_names(
    plant, said, own_folders, tiny_bundle_path, monkeypatch, what
):
    planted = plant("SVS")
    path = {"no case": planted.folder / WORDS}.get(what, planted.manifest)
    if what == "broken":
        planted.he.write_bytes(planted.he.read_bytes()[:5000])
    if what == "exchanged":
        given = json.loads(path.read_text())
        path.write_text(json.dumps(given | {"he": given["ihc"], "ihc": given["he"]}))
    arguments = ["run", path, "--out", own_folders / "out"]
    arguments += ["--bundle", tiny_bundle_path]
    monkeypatch.setattr(sys, "argv", ["napari-her2", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (3, 4)
    text = said()
    assert "napari-her2: " in text
    assert secrets_in(text) == []
    assert secrets_below(own_folders) == []
