"""A button whose menu holds the usual reasons, and room for words of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QInputDialog, QMenu, QPushButton, QWidget

OWN_WORDS = "In my own words…"


class ReasonMenu(QPushButton):
    """Asks for a reason before it acts."""

    chosen = Signal(str)

    def __init__(
        self, text: str, reasons: Sequence[str], parent: QWidget | None = None
    ) -> None:
        super().__init__(text, parent)
        menu = QMenu(self)
        for reason in reasons:
            menu.addAction(reason)
        menu.addSeparator()
        menu.addAction(OWN_WORDS)
        menu.triggered.connect(self._on_triggered)
        self.setMenu(menu)

    def _on_triggered(self, action: Any) -> None:
        reason = action.text()
        if reason == OWN_WORDS:
            reason, is_given = QInputDialog.getText(self, self.text(), "Reason")
            if not is_given:
                return
        self.chosen.emit(reason)
