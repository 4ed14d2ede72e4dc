"""How the docks look: one accent colour, few sizes, no clutter."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QFrame, QLabel, QPushButton, QSizePolicy

from napari_her2.viewer.palette import ACCENT, SYNTHETIC

MARGIN_PX = 10
GAP_PX = 4
COLUMN_PX = 340

STYLE = f"""
* {{ font-size: 12px; }}
QLabel {{ margin: 0; padding: 0; }}
QLabel[look="heading"] {{
    font-size: 12px; font-weight: 600; color: {ACCENT};
    padding: 2px 0 0 0;
}}
QLabel[look="strong"] {{ font-size: 13px; font-weight: 600; }}
QLabel[look="call"] {{ font-size: 22px; font-weight: 700; padding-right: 8px; }}
QLabel[look="muted"] {{ color: #8b929d; }}
QLabel[look="caution"] {{ color: #dd8a33; font-weight: 600; }}
QLabel[look="research"] {{ color: #dd8a33; }}
QLabel[look="problem"] {{
    color: #ffffff; background: #8f3b35; border-radius: 3px; padding: 6px 8px;
}}
QLabel[look="notice"] {{
    background: rgba(61, 155, 233, 40); border-radius: 3px; padding: 6px 8px;
}}
QLabel[look="synthetic"] {{
    color: #ffffff; background: {SYNTHETIC}; font-weight: 700; padding: 3px 8px;
}}
QFrame[look="rule"] {{ background: rgba(128, 136, 148, 70); }}
QPushButton {{ font-size: 12px; padding: 3px 8px; min-height: 18px; }}
QPushButton:disabled {{
    background: transparent; color: #6d747f;
    border: 1px solid rgba(128, 136, 148, 70);
}}
QPushButton[look="primary"]:enabled {{
    background: {ACCENT}; color: #0f1419; font-weight: 600;
}}
QPushButton[look="primary"]:enabled:hover {{ background: #62b1f0; }}
QPushButton:checked {{ background: {ACCENT}; color: #0f1419; font-weight: 600; }}
QPushButton::menu-indicator {{ subcontrol-position: right center; right: 5px; }}
QTreeWidget::item {{ padding: 2px 0; }}
QTreeWidget {{ border: 1px solid rgba(128, 136, 148, 70); border-radius: 3px; }}
QProgressBar {{
    border: 0; border-radius: 3px; background: rgba(128, 136, 148, 60);
    max-height: 8px; min-height: 8px;
}}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 3px; }}
"""


def label(text: str = "", look: str = "", *, wrap: bool = False) -> QLabel:
    """Return a label in one of the looks of the style sheet."""
    made = QLabel(text)
    made.setProperty("look", look)
    made.setWordWrap(wrap)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if wrap:
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        made.setSizePolicy(policy)
    return made


def fill(widget: QLabel, text: str, tip: str = "") -> None:
    """Show a line with its tooltip; a line without text takes no room."""
    widget.setText(text)
    widget.setToolTip(tip)
    widget.setVisible(bool(text))


def button(text: str, *, is_primary: bool = False, tip: str = "") -> QPushButton:
    """Return a push button; the primary one is the expected next step."""
    made = QPushButton(text)
    made.setToolTip(tip)
    if is_primary:
        made.setProperty("look", "primary")
    return made


def rule() -> QFrame:
    """Return a thin line between two sections."""
    made = QFrame()
    made.setProperty("look", "rule")
    made.setFixedHeight(1)
    return made


def enable(widget: QAbstractButton, refusal: str | None, tip: str) -> None:
    """Enable a button, or disable it with the reason as its tooltip."""
    widget.setEnabled(refusal is None)
    widget.setToolTip(tip if refusal is None else refusal)
