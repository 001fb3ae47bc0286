"""The dock widget: click, see the mask, pick, judge, save."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Labels, Layer, Points
from qtpy.QtWidgets import QFileDialog

from aitom_cryosam.errors import InputError
from aitom_cryosam.masks import ParticleMask, labels
from aitom_cryosam.names import star_word
from aitom_cryosam.napari.circle import DiameterCircle
from aitom_cryosam.napari.clicks import Clicks
from aitom_cryosam.napari.curation import Curation
from aitom_cryosam.napari.layers import known_of, picks_layer, place_of, show_points_within
from aitom_cryosam.napari.panel import Panel, shows_errors
from aitom_cryosam.napari.session import Session
from aitom_cryosam.napari.worker import Work, Worker
from aitom_cryosam.napari.writer import format_of, write_picks_as
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.progress import Progress
from aitom_cryosam.record import Record
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.result import Result
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Contrast, Tomogram

_OURS = ("masks", "mask of the click")
_EVERYWHERE = "everywhere"


class CryoSAMWidget(Panel):
    """Pick every copy of a clicked particle.

    Args:
        napari_viewer: that it is docked in; by this name napari's menu knows to give it.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        # The menu gives a proxy that wraps a layer anew at each access: none would be its own.
        self.viewer = viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.worker: Worker | None = None
        self.result: Result | None = None
        self.record: Record | None = None
        self.curation: Curation | None = None
        self._session: Session | None = None
        self._session_key: tuple[Any, ...] = ()
        self._row: int | None = None
        self.circle = DiameterCircle(viewer, self._dragged)
        self.clicks = Clicks(viewer, lambda: self.image, self.add_click)
        # Layers are the user's to rename and to remove: they are known by themselves.
        self._tomograms: list[Image] = []
        self._regions: list[Labels] = []
        self._picks: Points | None = None
        self.diameter_box.valueChanged.connect(self._show_diameter)
        self.slider.valueChanged.connect(self._slid)
        self.arrange(
            {
                "Click": self.new_clicks,
                "Circle": self.show_circle,
                "Show mask": self.show_mask,
                "Pick": self.pick,
                "Cancel": self.cancel,
                "Suggest": self.suggest,
                "Accept (Y)": lambda: self.judge(True),
                "Reject (N)": lambda: self.judge(False),
                "Before (B)": lambda: self.follow(-1),
                "Next (F)": lambda: self.follow(1),
                "Undo (U)": self.undo,
                "Save …": self.save,
                "Export …": self.export,
            }
        )
        self._bind_keys()
        viewer.layers.events.inserted.connect(self._list_layers)
        viewer.layers.events.inserted.connect(self._adopt_result)
        viewer.layers.events.removed.connect(self._list_layers)
        self._list_layers()
        self._adopt_result()

    # What is set -------------------------------------------------------------------------

    @property
    def image(self) -> Image:
        """The layer of the tomogram.

        Raises:
            InputError: there is none.
        """
        chosen = self.tomogram_box.currentIndex()
        if chosen < 0:
            raise InputError("There is no tomogram: open one with three axes first.")
        return self._tomograms[chosen]

    @property
    def settings(self) -> Settings:
        """The preset, with the diameter if it is given."""
        diameter = self.diameter_box.value()
        preset = self.preset_box.currentText()
        return (
            Settings.of(preset, diameter_angstrom=diameter) if diameter > 0 else Settings.of(preset)
        )

    @property
    def region(self) -> np.ndarray | None:
        """(D, H, W) voxels of the layer in whose labels picks may lie; None for everywhere."""
        chosen = self.region_box.currentIndex()
        return np.asarray(self._regions[chosen - 1].data) if chosen > 0 else None

    def session(self) -> Session:
        """The method on the chosen tomogram, with its features as long as that stays the same.

        Raises:
            InputError: there is no tomogram, or it cannot be used.
        """
        image, about = self.image, known_of(self.image)
        contrast: Contrast = "dark" if self.contrast_box.currentText() == "dark" else "bright"
        voxel_size = self.voxel_box.value() or about.get("voxel_size")
        if not voxel_size:
            raise InputError("The voxel size is not known", Remedy.VOXEL_SIZE)
        key = (id(image.data), contrast, voxel_size)
        if self._session is None or self._session_key != key:
            if about.get("path"):
                tomogram = Tomogram.open(about["path"], voxel_size=voxel_size, contrast=contrast)
            else:
                tomogram = Tomogram.from_array(
                    np.asarray(image.data[0] if image.multiscale else image.data),
                    voxel_size=voxel_size,
                    name=star_word(image.name),
                    contrast=contrast,
                )
            self._session, self._session_key = Session(tomogram), key
        return self._session

    # What can be done --------------------------------------------------------------------

    @shows_errors
    def new_clicks(self) -> None:
        """A layer to click on: left adds a particle, right or Alt something that is none."""
        self._open_clicks()

    @shows_errors
    def add_click(self, point_zyx: np.ndarray, negative: bool = False) -> None:
        """Add one click, in voxels of the tomogram, but for one beside it."""
        if len(TomogramInfo("", shape_zyx=self.image.data.shape).outside(point_zyx[None])):
            self.say("That is beside the tomogram; click on a particle.")
            return
        if self.clicks.layer is None:
            self._open_clicks()
        self.clicks.add(point_zyx, negative=negative)

    @shows_errors
    def show_circle(self) -> None:
        """The diameter as a circle around the last click, or in the middle of the view."""
        image, (clicks, _) = self.image, self.clicks.split()
        diameter = self.diameter_box.value()
        if not diameter and len(clicks):
            diameter = self.session().diameter_angstrom(clicks, self.settings)
        centre = clicks[-1] if len(clicks) else image.world_to_data(self.viewer.dims.point)
        self._look_at(image, centre)
        voxels = diameter / self._voxel_size() or min(image.data.shape) / 4
        self.circle.show(centre, voxels, place_of(image))
        self._dragged(voxels)
        self.say("Drag the circle's handles until it fits a particle.")

    @shows_errors
    def show_mask(self) -> None:
        """Show the mask of the last click: first in three planes, then all of it."""
        positive, _ = self.clicks.split()
        if not len(positive):
            raise InputError("There is no click", Remedy.PROMPT)
        session, settings, point = self.session(), self.settings, positive[-1]

        def work(progress: Progress, show: Callable[[Any], None]) -> ParticleMask:
            return session.mask(point, settings, progress, begun=show)

        self._run(work, self._mask_is_there, self._mask_begins)

    @shows_errors
    def pick(self) -> None:
        """Pick with all clicks, in a thread."""
        positive, negative = self.clicks.split()
        session, settings, region = self.session(), self.settings, self.region

        def work(progress: Progress, _show: Callable[[Any], None]) -> Result:
            return session.pick(positive, negative, settings, progress, region=region)

        self._run(work, self._result_is_there)

    def cancel(self) -> None:
        """Stop what runs."""
        if self.worker is not None:
            self.worker.stop()
            self.say("Stopping …")

    @shows_errors
    def suggest(self) -> None:
        """Go to the proposal that it is most useful to judge."""
        if self.curation is not None:
            self._go_to(self.curation.suggest(), "Everything is judged.")

    @shows_errors
    def follow(self, step: int = 1) -> None:
        """Go to the next pick, or to the one before."""
        if self.curation is not None:
            self._go_to(self.curation.following(self._row, step), "There are no picks.")

    @shows_errors
    def judge(self, accepted: bool) -> None:
        """Accept or reject the proposal in view, and go to the next useful one."""
        if self.curation is None or self._row is None:
            return
        self.curation.decide(self._row, accepted)
        self._show_verdict()
        self.suggest()

    @shows_errors
    def undo(self) -> None:
        """Take the last judgement back."""
        if self.curation is not None:
            self._go_to(self.curation.undo(), "There is nothing to undo.")
            self._show_verdict()

    @shows_errors
    def save(self, folder: str | Path | None = None) -> None:
        """Write the files of the command, with the curation recorded."""
        if self.curation is None:
            raise InputError("There is nothing to save: pick first.")
        chosen = folder or QFileDialog.getExistingDirectory(self, "Folder for the picks")
        if not chosen:
            return
        session, curated = self._session_of_picks(), self.curation.curated()
        if self.result is not None:
            paths: Mapping[str, Path] = session.save(self.result, curated, Path(chosen))
        else:
            assert self.record is not None  # that the curation came with
            paths = session.save_again(self.record, curated, Path(chosen))
        self.say(f"Saved {int(self.curation.kept.sum())} picks: {paths['picks']}")

    def _session_of_picks(self) -> Session:
        """On the tomogram that the picks are of, whichever is chosen now."""
        if self.result is not None:
            tomogram = self.result.tomogram
        else:
            assert self.record is not None  # that the curation came with
            if self.record.tomogram_path is None:  # it was an array
                return self.session()
            tomogram = self.record.tomogram()
        kept = self._session
        return kept if kept is not None and kept.tomogram is tomogram else Session(tomogram)

    @shows_errors
    def export(self, path: str | Path | None = None) -> None:
        """Write the picks in the format that the file's ending names."""
        if self.curation is None:
            raise InputError("There is nothing to export: pick first.")
        chosen = path or QFileDialog.getSaveFileName(self, "Export picks")[0]
        if not chosen:
            return
        target, about = Path(chosen), known_of(self._picks_layer)
        shape = about.get("shape_zyx")
        place = Path(about["path"]) if about.get("path") else None
        info = TomogramInfo(about["name"], about["voxel_size"], shape and tuple(shape), path=place)
        picks = self.curation.curated()
        for one in write_picks_as(format_of(target), target, picks, info):
            self.say(f"Exported {int(picks.kept.sum())} picks: {one}")

    # How it follows the viewer ------------------------------------------------------------

    def _bind_keys(self) -> None:
        actions: dict[str, Callable[[], None]] = {
            "Y": lambda: self.judge(True),
            "N": lambda: self.judge(False),
            "F": lambda: self.follow(1),
            "B": lambda: self.follow(-1),
            "U": self.undo,
        }
        for key, action in actions.items():
            self.viewer.bind_key(key, lambda _, action=action: action(), overwrite=True)

    def _list_layers(self, _event: Any = None) -> None:
        """Tomograms to choose from, and layers in whose labels picks may lie."""
        layers = [one for one in self.viewer.layers if one.ndim == 3]
        for one in layers:
            one.events.name.connect(self._list_layers)
        tomograms = [one for one in layers if isinstance(one, Image) and not one.rgb]
        regions = [one for one in layers if isinstance(one, Labels) and one.name not in _OURS]
        for box, before, found, first in (
            (self.tomogram_box, self._tomograms, tomograms, []),
            (self.region_box, self._regions, regions, [_EVERYWHERE]),
        ):
            at = box.currentIndex() - len(first)
            chosen = before[at] if 0 <= at < len(before) else None
            before[:] = found
            box.clear()
            box.addItems([*first, *(one.name for one in found)])
            if chosen in found:
                box.setCurrentIndex(found.index(chosen) + len(first))

    def _adopt_result(self, event: Any = None) -> None:
        """Take over a result that was opened, now or before, unless there are picks already."""
        for layer in self.viewer.layers if event is None else [event.value]:
            record = known_of(layer).get("record")
            if not (record and isinstance(layer, Points) and "reason" in layer.features):
                continue
            if self._is_there(self._picks):
                self.say(
                    "The panel keeps the picks that it has. To judge those of the result that was "
                    "opened, remove the layer of the others and open it again."
                )
                continue
            with self.errors_shown():
                self.record, self.result = Record.open(record), None
                self.curation = Curation(self.record.proposals, _user())
                self._picks, self._row = layer, None
                self._set_slider()
                self._show_verdict()

    def _is_there(self, layer: Layer | None) -> bool:
        """Whether a layer was not removed."""
        return any(one is layer for one in self.viewer.layers)

    @property
    def _picks_layer(self) -> Points:
        """Where the picks show; the layer comes back if it was removed.

        Raises:
            InputError: there are no picks.
        """
        if self._picks is None:
            raise InputError("There are no picks: pick first.")
        if not self._is_there(self._picks):
            self.viewer.add_layer(self._picks)
        return self._picks

    def _open_clicks(self) -> None:
        self.clicks.open(self.diameter_box.value() / self._voxel_size() or 10.0)
        self.say("Click on particles; right-click or Alt-click on anything else.")

    def _slid(self, value: int) -> None:
        if self.curation is not None and self.curation.most:
            self.curation.cut_after(value)
            self._show_verdict()

    def _set_slider(self) -> None:
        assert self.curation is not None
        self.place_slider(int(self.curation.proposals.kept.sum()), self.curation.most)

    def _show_verdict(self) -> None:
        assert self.curation is not None
        kept = self.curation.kept
        self._picks_layer.shown = kept
        cut = "" if self.curation.cut is None else f" from {self.curation.cut:.3f} on"
        self.count.setText(f"{int(kept.sum())} picks{cut}")

    def _show_diameter(self, value: float) -> None:
        if value <= 0:
            return
        voxels = value / self._voxel_size()
        self.circle.resize(voxels)
        self.clicks.resize(voxels)

    def _dragged(self, diameter: float) -> None:
        """The circle has another diameter, voxels."""
        self.diameter_box.setValue(diameter * self._voxel_size())

    def _voxel_size(self) -> float:
        about = known_of(self.image) if self.tomogram_box.count() else {}
        return float(self.voxel_box.value() or about.get("voxel_size") or 1)

    def _go_to(self, row: int | None, otherwise: str) -> None:
        if row is None or self.curation is None:
            self.say(otherwise)
            return
        self._row = row
        picks = self.curation.proposals
        self._look_at(self._picks_layer, picks.points_zyx[row])
        self.viewer.layers.selection.active = self._picks_layer
        self._picks_layer.selected_data = {row}
        reason = f", {picks.reasons[row]}" if picks.reasons[row] else ""
        self.say(f"Number {picks.ids[row]}: score {picks.scores[row]:.3f}{reason}. Y or N?")

    def _look_at(self, layer: Layer, point_zyx: np.ndarray) -> None:
        """Bring a point of a layer to the middle of the view."""
        world = tuple(float(value) for value in layer.data_to_world(point_zyx))
        self.viewer.dims.set_point(range(3), world)
        # Since napari 0.9 the camera is the scene's; before, the viewer's.
        getattr(self.viewer, "scene", self.viewer).camera.center = world

    # Work --------------------------------------------------------------------------------

    def _run(
        self,
        work: Work,
        then: Callable[[Any], None],
        meanwhile: Callable[[Any], None] | None = None,
    ) -> None:
        if self.worker is not None:
            raise InputError("Something is running already: wait for it, or cancel it.")
        worker = Worker(work, self)
        worker.progressed.connect(self.progressed)
        if meanwhile is not None:
            worker.begun.connect(meanwhile)
        worker.succeeded.connect(then)
        worker.failed.connect(self.tell)
        worker.cancelled.connect(lambda: self.say("Stopped; the picks are as they were."))
        worker.finished.connect(self._finished)
        self.worker = worker
        self.set_busy(True)
        worker.start()

    def _finished(self) -> None:
        self.worker = None
        self.set_busy(False)

    def _mask_begins(self, mask: ParticleMask) -> None:
        self._put_mask(mask)
        self.say("The outline in the three planes through the click; the other planes follow …")

    def _mask_is_there(self, mask: ParticleMask) -> None:
        self._put_mask(mask)
        width = f"{mask.diameter * self._voxel_size():.0f} Å wide"
        if mask.is_ball:
            self.say(f"This click gives no mask; a ball takes its place, {width}.")
        else:
            self.say(f"The mask has {mask.volume} voxels, {width}.")

    def _put_mask(self, mask: ParticleMask) -> None:
        volume = labels(self.image.data.shape, [replace(mask, id=1)])
        self._put_labels("mask of the click", volume)
        self.viewer.layers.selection.active = self.clicks.layer  # the next click is one, too

    def _result_is_there(self, result: Result) -> None:
        self.result, self.record = result, None
        self._row = None
        self.curation = Curation(result.proposals, _user())
        self.diameter_box.setValue(result.diameter_angstrom)  # so that the features stay
        tomogram = result.tomogram
        about = {
            "name": tomogram.name,
            "path": None if tomogram.path is None else str(tomogram.path),
            "voxel_size": tomogram.voxel_size,
            "shape_zyx": tomogram.shape,
        }
        diameter = result.diameter_angstrom / tomogram.voxel_size
        self._put_labels("masks", result.labels())
        data, how, _ = picks_layer(result.proposals, diameter, about)
        before, self._picks = self._picks, None
        if self._is_there(before):
            self.viewer.layers.remove(before)
        self._picks = self.viewer.add_points(data, **how, **place_of(self.image))
        show_points_within(diameter / 4, self.viewer, self.image)
        self._set_slider()
        self._show_verdict()
        self.say(f"{len(result.picks)} picks of {len(result.proposals)} proposals.")

    def _put_labels(self, name: str, volume: np.ndarray) -> None:
        if name in self.viewer.layers and isinstance(self.viewer.layers[name], Labels):
            self.viewer.layers[name].data = volume
            return
        self.viewer.add_labels(volume, name=name, opacity=0.4, **place_of(self.image))


def _user() -> str:
    """The name on this machine."""
    try:
        return star_word(getpass.getuser())
    except (KeyError, OSError):  # no such user, as in some containers
        return "somebody"
