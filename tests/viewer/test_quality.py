"""Findings come from a worker thread, and their masks lie on their slide in µm."""

from threading import current_thread, main_thread

import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
)
from napari_her2.viewer.roles import Role, find, role_of


@pytest.fixture
def report(open_desk):
    slide = open_desk.session.state.pair.ihc
    mask = np.zeros((30, 40), bool)
    mask[10:20, 5:25] = True
    finding = Finding(
        FindingKind.FOLD, Severity.WARN, 0.1, "Folded.", mask, 8.0, 8 * slide.mpp
    )
    made = QualityReport(Stain.IHC, slide.fingerprint, (finding,), 0.5, 1, 1)
    open_desk.session.quality.take((made,))
    return made


def test_a_mask_lies_on_its_slide(open_desk, report):
    layers, (finding,) = open_desk.quality_layers, report.findings
    layers.show(report, finding, on=True)
    layer = find(open_desk.viewer.layers, Role.QUALITY)
    ihc = find(open_desk.viewer.layers, Role.IHC)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    corner = layer.data_to_world((9.5, 4.5))
    assert corner == pytest.approx(ihc.data_to_world((79.5, 39.5)), abs=1e-6)
    roles = [role_of(each) for each in open_desk.viewer.layers]
    assert roles.index(Role.QUALITY) > roles.index(Role.IHC)
    assert roles.index(Role.QUALITY) < roles.index(Role.REGIONS)
    assert np.isnan(layer.data[0, 0])
    assert layer.data[12, 8] == 1


def test_it_is_shown_once_and_hidden_again(open_desk, report):
    layers, (finding,) = open_desk.quality_layers, report.findings
    n_layers = len(open_desk.viewer.layers)
    layers.show(report, finding, on=True)
    layers.show(report, finding, on=True)
    assert len(open_desk.viewer.layers) == n_layers + 1
    layers.show(report, finding, on=False)
    assert len(open_desk.viewer.layers) == n_layers
    layers.show(report, finding, on=True)
    open_desk.close_case()
    assert find(open_desk.viewer.layers, Role.QUALITY) is None


def test_the_look_is_taken_off_the_main_thread(open_desk, qtbot, monkeypatch):
    threads = []

    def assess(slide, stain):
        threads.append(current_thread())
        return QualityReport(stain, slide.fingerprint, (), 0.5, 1, 1)

    monkeypatch.setattr("napari_her2.slides.quality.assess.assess_quality", assess)
    open_desk.quality.start()
    qtbot.waitUntil(lambda: len(open_desk.session.state.quality) == 2)
    assert main_thread() not in threads
    assert open_desk.session.quality.look() is None
