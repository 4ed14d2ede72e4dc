"""How the two slides lie on each other: light, error, and what to do about it."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QMenu, QProgressBar, QVBoxLayout

from napari_her2.app.pairing import Version, light_of
from napari_her2.core.local_light import shares_by_light
from napari_her2.core.registration import (
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.palette import LIGHT_COLORS
from napari_her2.viewer.placement import drawn_off_um
from napari_her2.widgets.landmark_list import LandmarkList
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, enable, label

NUDGES_UM = (2.0, 10.0, 50.0)
TURN_DEG = 0.5
DRAWN_OFF_UM = 5.0
"""How far the IHC layer may lie from where it is read before that is said."""
_MOVES = {"←": (0, -1), "→": (0, 1), "↑": (-1, 0), "↓": (1, 0)}
_TURNS = {"⟲": -1, "⟳": 1}
_WORDS = {
    Light.GREEN: "H&E and IHC lie on each other",
    Light.AMBER: "H&E and IHC lie roughly on each other",
    Light.RED: "H&E and IHC do not lie on each other",
}


class PairingPanel(Listener):
    """Shown where a case has both slides."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.state = label(wrap=True)
        self.error = label(look="muted", wrap=True)
        self.origin = label(look="muted", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 100)
        self.cancel = button("Cancel", tip="Leave the slides as they lie")
        self.cancel.clicked.connect(desk.registrar.cancel)
        self.register = button("Register", tip="Find how the IHC lies on the H&E")
        self.by_hand = button("By hand", tip="Landmarks, and moving the IHC")
        self.by_hand.setCheckable(True)
        self.map = button("Map", tip="Show where the slides lie on each other")
        self.map.setCheckable(True)
        self.shares = label(look="muted", wrap=True)
        self.bend = label(look="muted", wrap=True)
        self.earlier = button("Versions", tip="Go back to an earlier registration")
        self.earlier.setMenu(QMenu(self.earlier))
        self.register.clicked.connect(desk.registrar.register)
        self.map.clicked.connect(self._on_map)
        self.earlier.menu().aboutToShow.connect(self._fill_versions)
        self.earlier.menu().triggered.connect(self._on_version)
        self.hand = HandTools(desk)
        self.by_hand.toggled.connect(self._on_by_hand)
        buttons = QHBoxLayout()
        for widget in (self.register, self.map, self.by_hand, self.earlier):
            buttons.addWidget(widget, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.state, self.error, self.shares, self.bend, self.origin):
            layout.addWidget(widget)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        layout.addLayout(progress)
        layout.addLayout(buttons)
        layout.addWidget(self.hand)
        self.hand.setVisible(False)
        events = self.session.state.events
        self.follow(
            self._draw,
            events.pair,
            events.versions,
            events.pairing_work,
            events.error_limits,
        )
        self.follow(self._draw_bend, events.pair, events.view_px)
        self.follow(self._draw_map, desk.error_layer.changed)

    def _draw(self) -> None:
        state = self.session.state
        pair, work = state.pair, state.pairing_work
        both = pair is not None and pair.he is not None and pair.ihc is not None
        self.setVisible(both)
        if pair is None or not state.versions:
            return
        registration = pair.registration
        light = light_of(registration, state.error_limits)
        color = LIGHT_COLORS[light]
        words = _UNCHECKED if light is None else _WORDS[light]
        self.state.setText(f'<span style="color:{color}">●</span>&nbsp; <b>{words}</b>')
        error = registration.error
        self.error.setVisible(error is not None)
        if error is not None:
            sentence = error.sentence()
            self.error.setText(sentence[0].upper() + sentence[1:])
        has_map = error is not None and error.local is not None
        self.shares.setVisible(has_map)
        if has_map and error is not None:
            self.shares.setText(shares_line(error, state.error_limits))
        enable(
            self.map,
            None if has_map else "How the slides lie was not checked place by place.",
            "Show where the slides lie on each other, in these colours",
        )
        self.origin.setText(origin_of(state.versions[-1]))
        self.bar.setVisible(bool(work.doing))
        self.cancel.setVisible(work.is_moving)
        self.bar.setValue(round(100 * work.share))
        if work.doing:
            self.origin.setText(f"{work.doing}…")
        enable(
            self.register,
            self.session.pairing.why_not(),
            "Find how the IHC lies on the H&E, from any orientation",
        )
        self.earlier.setEnabled(len(state.versions) > 1)

    def _draw_bend(self) -> None:
        """Say how far the IHC layer, which lies by an affine map, is off here."""
        pair, view_px = self.session.state.pair, self.session.state.view_px
        off_um = 0.0
        if pair is not None and view_px is not None:
            off_um = drawn_off_um(pair, view_px)
        self.bend.setVisible(off_um > DRAWN_OFF_UM)
        self.bend.setText(bend_line(off_um))

    def _draw_map(self) -> None:
        self.map.setChecked(self.desk.error_layer.is_shown)

    def _on_map(self) -> None:
        with noticed(self.session):
            self.desk.error_layer.show(on=self.map.isChecked())

    def _on_by_hand(self, shown: bool) -> None:
        self.hand.setVisible(shown)
        if not shown:
            self.desk.landmarks.stop()

    def _fill_versions(self) -> None:
        menu = self.earlier.menu()
        menu.clear()
        limits = self.session.state.error_limits
        versions = self.session.state.versions
        for index, version in reversed(list(enumerate(versions))):
            light = light_of(version.registration, limits)
            text = f"{origin_of(version)} · {light or 'not checked'}"
            action = menu.addAction(text)
            action.setData(index)
            action.setEnabled(index != len(versions) - 1)

    def _on_version(self, action: Any) -> None:
        with noticed(self.session):
            self.session.pairing.go_back_to(action.data())


class HandTools(Listener):
    """Landmarks, and moving the IHC step by step."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        self.marks = LandmarkList(desk)
        layout.addWidget(self.marks)
        grid = QGridLayout()
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(3)
        grid.addWidget(label("Move the IHC", "muted"), 0, 0)
        self.steps = {}
        for column, step_um in enumerate(NUDGES_UM, 1):
            step = button(f"{step_um:g} µm", tip=f"Move by {step_um:g} µm a click")
            step.setCheckable(True)
            step.setAutoExclusive(True)
            grid.addWidget(step, 0, column, 1, 2)
            self.steps[step_um] = step
        self.steps[10.0].setChecked(True)
        row = QHBoxLayout()
        for sign, (y, x) in _MOVES.items():
            move = button(sign, tip="Move the IHC on the H&E")
            move.setProperty("way", (y, x))
            move.clicked.connect(self._on_move)
            row.addWidget(move, 1)
        for sign, way in _TURNS.items():
            turn = button(sign, tip=f"Turn the IHC by {TURN_DEG:g}° about the view")
            turn.setProperty("way", way)
            turn.clicked.connect(self._on_turn)
            row.addWidget(turn, 1)
        layout.addLayout(grid)
        layout.addLayout(row)

    def _on_move(self) -> None:
        step_um = next(um for um, step in self.steps.items() if step.isChecked())
        y, x = self.sender().property("way")
        with noticed(self.session):
            self.session.pairing.nudge(
                (y * step_um, x * step_um), about=self._middle_um()
            )

    def _on_turn(self) -> None:
        turn_deg = self.sender().property("way") * TURN_DEG
        with noticed(self.session):
            self.session.pairing.nudge(turn_deg=turn_deg, about=self._middle_um())

    def _middle_um(self) -> tuple[float, float]:
        state = self.session.state
        if state.pair is None or state.view_px is None:
            return 0.0, 0.0
        y, x = state.view_px.center
        mpp = state.pair.reference.mpp or 1.0
        return y * mpp, x * mpp


_UNCHECKED = "How H&E and IHC lie is not checked"
_METHODS = {
    "identity": "Not registered: as they were scanned",
    "manifest": "Registration of the manifest",
}


def shares_line(error: RegistrationError, limits: ErrorLimits) -> str:
    """Say how much of the tissue has which error, in the colours of the map."""
    words = {
        Light.GREEN: f"up to {limits.green_um:g} µm",
        Light.AMBER: f"up to {limits.red_um:g} µm",
        Light.RED: "more",
        None: "not checked",
    }
    parts = [
        f'<span style="color:{LIGHT_COLORS[light]}">●</span>&nbsp;'
        f"{share:.0%}&nbsp;{words[light].replace(' ', '&nbsp;')}"
        for light, share in shares_by_light(error, limits).items()
        if share > 0
    ]
    cell_mm = 0.0 if error.local is None else error.local.cell_um / 1000
    return f"Tissue, in squares of {cell_mm:.2g}&nbsp;mm: " + ", ".join(parts)


def bend_line(off_um: float) -> str:
    """Say how far the IHC layer lies from where the IHC is read."""
    return (
        f"In this view the IHC is drawn up to {off_um:.0f} µm off: the layer cannot "
        "bend. Regions and results go through the bend."
    )


def origin_of(version: Version) -> str:
    """Say where a registration comes from, and when."""
    parts = [_method(version.registration)]
    if version.reader:
        parts.append(version.reader)
    if version.utc is not None:
        parts.append(f"{version.utc.astimezone():%d %b %Y, %H:%M}")
    return " · ".join(parts)


def _method(registration: Registration) -> str:
    method = registration.method
    return _METHODS.get(method, method[:1].upper() + method[1:])
