"""Panel: what the dock widget looks like, and the box that shows a user's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from aitom_cryosam.errors import InputError
from aitom_cryosam.napari.worker import Failure
from aitom_cryosam.presets import CHOICES

_CANCEL, _WORK = "Cancel", ("Pick", "Show mask", "Save …", "Export …")

_Panel = TypeVar("_Panel", bound="Panel")
_Given = ParamSpec("_Given")


class Panel(QWidget):
    """Boxes, buttons, a slider and messages, without what they do."""

    def __init__(self) -> None:
        super().__init__()
        self.box: QMessageBox | None = None
        self.buttons: dict[str, QPushButton] = {}
        self.tomogram_box = QComboBox()
        self.voxel_box = _length("from the file", 1000)
        self.contrast_box = QComboBox()
        self.contrast_box.addItems(["dark", "bright"])
        self.diameter_box = _length("from the clicks", 5000)
        self.preset_box = QComboBox()
        self.preset_box.addItems(list(CHOICES))
        self.region_box = QComboBox()
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setEnabled(False)
        self.count = QLabel("no picks yet")
        self.message = QLabel("Open a tomogram, then click on a particle.")
        self.message.setWordWrap(True)

    def arrange(self, actions: Mapping[str, Callable[[], None]]) -> None:
        """Put everything in its place, with a button for each action.

        Args:
            actions: by the labels of their buttons.
        """
        form = QFormLayout()
        for label, box in (
            ("Tomogram", self.tomogram_box),
            ("Voxel size", self.voxel_box),
            ("Protein is", self.contrast_box),
            ("Diameter", self.diameter_box),
            ("Preset", self.preset_box),
            ("Region", self.region_box),
        ):
            form.addRow(label, box)
        for label, action in actions.items():
            self.buttons[label] = QPushButton(label)
            self.buttons[label].clicked.connect(lambda _=False, action=action: action())
        self.buttons[_CANCEL].setEnabled(False)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(self._row_of("Click", "Circle", "Show mask"))
        layout.addLayout(self._row_of("Pick", _CANCEL))
        layout.addWidget(self.progress)
        layout.addWidget(QLabel("Picks"))
        layout.addWidget(self.slider)
        layout.addWidget(self.count)
        layout.addLayout(self._row_of("Suggest", "Accept (Y)", "Reject (N)"))
        layout.addLayout(self._row_of("Before (B)", "Next (F)", "Undo (U)"))
        layout.addLayout(self._row_of("Save …", "Export …"))
        layout.addWidget(self.message)
        layout.addStretch()

    def _row_of(self, *labels: str) -> QHBoxLayout:
        row = QHBoxLayout()
        for label in labels:
            row.addWidget(self.buttons[label])
        return row

    def set_busy(self, busy: bool) -> None:
        """Whether work runs that can be cancelled, and no other be begun."""
        self.progress.setVisible(busy)
        self.progress.setRange(0, 0)
        for label in _WORK:
            self.buttons[label].setEnabled(not busy)
        self.buttons[_CANCEL].setEnabled(busy)

    def progressed(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setFormat(f"{stage} %p %")

    def place_slider(self, picks: int, most: int) -> None:
        """Show so many picks of the most that there can be, without the signal of a user's."""
        self.slider.blockSignals(True)
        self.slider.setRange(0, most)
        self.slider.setValue(picks)
        self.slider.blockSignals(False)
        self.slider.setEnabled(True)

    def say(self, text: str) -> None:
        """A line below the buttons."""
        self.message.setText(text)

    def tell(self, failure: Failure) -> None:
        """A box with what is wrong, what to do and details to copy."""
        self.say("; ".join(filter(None, [failure.text, failure.remedy])))
        self.box = self._box(failure)
        self.box.open()

    def _box(self, failure: Failure) -> QMessageBox:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("CryoSAM")
        box.setText(failure.text)
        box.setInformativeText(failure.remedy[:1].upper() + failure.remedy[1:])
        if failure.details:
            box.setDetailedText(failure.details)
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return box

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Show the user's errors of a block instead of raising them."""
        try:
            yield
        except InputError as error:
            self.tell(Failure.of(error))


def shows_errors(
    action: Callable[Concatenate[_Panel, _Given], None],
) -> Callable[Concatenate[_Panel, _Given], None]:
    """An action, of a button or a key, whose errors show in a box."""

    @wraps(action)
    def shown(panel: _Panel, /, *args: _Given.args, **kwargs: _Given.kwargs) -> None:
        with panel.errors_shown():
            action(panel, *args, **kwargs)

    return shown


def _length(nothing: str, largest: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, largest)
    box.setDecimals(2)
    box.setSuffix(" Å")
    box.setSpecialValueText(nothing)
    return box
