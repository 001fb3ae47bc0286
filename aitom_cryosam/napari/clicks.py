"""Clicks: the layer that a user clicks on, on particles and on what is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Points

from aitom_cryosam.napari.layers import (
    click_colours,
    clicks_layer,
    known_of,
    place_of,
    show_points_within,
    voxels_of,
)


class Clicks:
    """Clicks in the viewer.

    Args:
        viewer: that shows them.
        image: gives the layer of the tomogram, or raises InputError.
        clicked: called with (3,) voxels of the tomogram, and whether the click is on something
            else, after a click of the mouse.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        image: Callable[[], Image],
        clicked: Callable[[np.ndarray, bool], None],
    ) -> None:
        self.viewer = viewer
        self._image = image
        self._tell = clicked
        self._layer: Points | None = None
        viewer.layers.events.inserted.connect(self._adopt)
        self._adopt()

    @property
    def layer(self) -> Points | None:
        """That they lie in, if it is there."""
        self._adopt()
        return self._layer

    def _adopt(self, _event: Any = None) -> None:
        """Take a layer of that name, as from a file, if there is none; it may be renamed then."""
        if not any(one is self._layer for one in self.viewer.layers):
            named = [one for one in self.viewer.layers if one.name == "clicks"]
            self._layer = next((one for one in named if isinstance(one, Points)), None)

    def open(self, diameter: float) -> None:
        """Make the layer, if it is not there, and have the mouse add clicks to it.

        Args:
            diameter: voxels, of the particle.

        Raises:
            InputError: there is no tomogram.
        """
        image = self._image()
        layer = self.layer
        if layer is None:
            data, how, _ = clicks_layer(np.zeros((0, 3)), diameter, known_of(image))
            layer = self._layer = self.viewer.add_points(data, **how, **place_of(image))
            show_points_within(diameter / 4, self.viewer, image)
        if self._clicked not in layer.mouse_drag_callbacks:  # as in a layer from a file
            layer.mouse_drag_callbacks.append(self._clicked)
        layer.mode = "pan_zoom"
        self.viewer.layers.selection.active = layer

    def add(self, point_zyx: np.ndarray, *, negative: bool = False) -> None:
        """Add one to the layer, which is there.

        Args:
            point_zyx: (3,) voxels of the tomogram.
            negative: on something else than a particle.

        Raises:
            InputError: there is no tomogram.
        """
        layer = self.layer
        assert layer is not None
        data = layer.world_to_data(self._image().data_to_world(point_zyx))
        layer.add(np.asarray(data)[None])
        every = _negative(layer)
        every[-1] = negative
        layer.features = layer.features.assign(negative=every)
        layer.face_color = click_colours(every)

    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) clicks on particles and (m, 3) on what is none, voxels of the tomogram.

        Raises:
            InputError: there are clicks, but no tomogram.
        """
        layer = self.layer
        if layer is None or not len(layer.data):
            return np.zeros((0, 3)), np.zeros((0, 3))
        points, negative = voxels_of(layer, self._image()), _negative(layer)
        return points[~negative], points[negative]

    def resize(self, diameter: float) -> None:
        """Show them for another diameter of the particle, voxels."""
        if self.layer is not None:
            self.layer.size = max(diameter / 2, 3)

    def _clicked(self, _layer: Points, event: Any) -> Iterator[None]:
        """Left adds a click, right or Alt a negative one; dragging moves the view as ever."""
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() > 3:
            return
        point = self._image().world_to_data(event.position)
        negative = event.button == 2 or "Alt" in event.modifiers
        self._tell(np.asarray(point), negative)


def _negative(layer: Points) -> np.ndarray:
    """(n,) bool, which clicks of a layer are on something else; none in a layer of the user's."""
    column = layer.features.get("negative")
    if column is None:
        return np.zeros(len(layer.data), bool)
    return column.fillna(False).to_numpy(bool, copy=True)
