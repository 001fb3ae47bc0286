"""The napari panel in a real window: mouse and keys, as a person uses them."""

import os

import numpy as np
import pytest

pytestmark = pytest.mark.napari
pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
if not os.environ.get("DISPLAY"):
    pytest.skip("there is no display; run under xvfb-run", allow_module_level=True)

import napari  # noqa: E402
from qtpy.QtCore import QPoint, Qt  # noqa: E402

from aitom_cryosam.napari.layers import KEY, picks_layer  # noqa: E402
from aitom_cryosam.picks import Picks  # noqa: E402

SHAPE = (20, 60, 80)


@pytest.fixture
def window(qtbot):
    viewer = napari.Viewer(show=True)
    image = viewer.add_image(np.zeros(SHAPE, np.float32), name="TS_01")
    image.metadata[KEY] = {"voxel_size": 20.0}
    _, made = viewer.window.add_plugin_dock_widget("aitom-cryosam", "CryoSAM")  # as the menu does
    viewer.window.resize(1000, 800)
    yield viewer, made
    viewer.close()


def canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def click(qtbot, viewer, button=Qt.LeftButton, modifier=Qt.NoModifier, offset=(0, 0)):
    """In the middle of the view, pixels beside it."""
    native = canvas(viewer)
    place = QPoint(native.width() // 2 + offset[0], native.height() // 2 + offset[1])
    qtbot.mouseMove(native, place)
    qtbot.mousePress(native, button, modifier, place)
    qtbot.mouseRelease(native, button, modifier, place)


def test_left_click_is_a_particle_right_and_alt_are_none_and_a_drag_is_neither(qtbot, window):
    viewer, made = window
    viewer.dims.set_point(0, 7)
    getattr(viewer, "scene", viewer).camera.center = (7, 30, 40)
    made.buttons["Click"].click()
    click(qtbot, viewer)
    click(qtbot, viewer, Qt.RightButton, offset=(40, 0))
    click(qtbot, viewer, modifier=Qt.AltModifier, offset=(0, 40))
    positive, negative = made.clicks.split()
    np.testing.assert_allclose(positive, [[7, 30, 40]], atol=1)
    assert len(negative) == 2
    assert negative[0, 2] > 41
    assert negative[1, 1] > 31
    native = canvas(viewer)
    middle = QPoint(native.width() // 2, native.height() // 2)
    qtbot.mousePress(native, Qt.LeftButton, Qt.NoModifier, middle)
    for step in range(10, 60, 10):
        qtbot.mouseMove(native, middle + QPoint(step, 0))
    qtbot.mouseRelease(native, Qt.LeftButton, Qt.NoModifier, middle + QPoint(50, 0))
    assert len(made.clicks.layer.data) == 3


def test_keys_accept_reject_go_on_and_undo(qtbot, window):
    viewer, made = window
    points = np.array([[5, 20, 20], [6, 30, 40], [7, 40, 60], [8, 50, 70]], float)
    picks = Picks.from_points(points, np.array([0.9, 0.8, 0.4, 0.1])).reject([2, 3], "chance")
    data, how, _ = picks_layer(picks, 10, {"voxel_size": 20.0, "name": "TS_01"})
    made._picks = viewer.add_points(data, **how)
    from aitom_cryosam.napari.curation import Curation

    made.curation = Curation(picks, "me")
    made._set_slider()

    def key(name: str) -> None:
        qtbot.keyClick(canvas(viewer), getattr(Qt, f"Key_{name}"))

    canvas(viewer).setFocus()
    key("F")
    assert viewer.dims.point[0] == 5
    key("F")
    assert viewer.dims.point[0] == 6
    key("N")
    assert made.curation.kept.tolist() == [True, False, False, False]
    assert viewer.layers["picks"].shown.tolist() == [True, False, False, False]
    made._go_to(2, "")
    key("Y")
    assert made.curation.kept.tolist() == [True, False, True, False]
    key("U")
    key("U")
    assert made.curation.kept.tolist() == picks.kept.tolist()
    key("B")
    assert viewer.dims.point[0] == 5
    made.slider.setFocus()
    before = made.slider.value()
    qtbot.keyClick(made.slider, Qt.Key_Left)
    assert made.slider.value() < before
    assert made.curation.cut is not None
