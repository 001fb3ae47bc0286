"""Circle: the particle's diameter in the viewer, to be dragged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from napari.layers import Shapes

NAME = "diameter"


class DiameterCircle:
    """A circle in the plane in view, whose handles change the diameter.

    Args:
        viewer: that shows it.
        changed: called with the diameter, voxels, after it was dragged.
    """

    def __init__(self, viewer: napari.Viewer, changed: Callable[[float], None]) -> None:
        self.viewer = viewer
        self.changed = changed
        self._drawing = False

    @property
    def layer(self) -> Shapes | None:
        """That it lies in, if it is shown."""
        found = [one for one in self.viewer.layers if one.name == NAME]
        return found[0] if found and isinstance(found[0], Shapes) else None

    def show(self, centre_zyx: np.ndarray, diameter: float, place: dict[str, Any]) -> None:
        """Show it, ready to be dragged.

        Args:
            centre_zyx: (3,) voxels.
            diameter: voxels.
            place: scale and the like, of the tomogram's layer.
        """
        if self.layer is None:
            layer = self.viewer.add_shapes(
                ndim=3, name=NAME, face_color="transparent", edge_color="#ffd24d", **place
            )
            layer.events.data.connect(self._dragged)
        self._draw(np.asarray(centre_zyx, np.float64), diameter)
        layer = self.layer
        assert layer is not None
        self.viewer.layers.selection.active = layer
        layer.mode = "select"
        layer.selected_data = {0}

    def resize(self, diameter: float) -> None:
        """Another diameter, voxels, around the same centre."""
        layer = self.layer
        if layer is not None and len(layer.data):
            self._draw(np.mean(layer.data[0], axis=0), diameter)

    def _draw(self, centre: np.ndarray, diameter: float) -> None:
        layer, corners = self.layer, np.tile(centre, (4, 1))
        assert layer is not None
        y, x = self.viewer.dims.displayed[-2:]
        corners[:, y] += np.array([-1, -1, 1, 1]) * diameter / 2
        corners[:, x] += np.array([-1, 1, 1, -1]) * diameter / 2
        self._drawing = True
        layer.data = []
        layer.add_ellipses(corners, edge_width=max(diameter / 25, 0.3))
        self._drawing = False

    def _dragged(self, _event: Any) -> None:
        layer = self.layer
        if self._drawing or layer is None or not len(layer.data):
            return
        sides = np.sort(np.ptp(layer.data[0], axis=0))[1:]
        self.changed(float(sides.mean()))
