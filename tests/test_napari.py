"""The napari plugin: layers, clicks, masks, picks, judgements and files, without a window."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.napari
pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

import starfile  # noqa: E402
from napari.components import ViewerModel  # noqa: E402
from napari.layers import Layer, Points  # noqa: E402
from napari.utils._proxies import PublicOnlyProxy  # noqa: E402

from aitom_cryosam import CryoSAM, Settings, Tomogram  # noqa: E402
from aitom_cryosam.errors import InputError  # noqa: E402
from aitom_cryosam.napari.curation import COLUMN, Curation  # noqa: E402
from aitom_cryosam.napari.layers import KEY, voxels_of  # noqa: E402
from aitom_cryosam.napari.reader import reader  # noqa: E402
from aitom_cryosam.napari.session import Session  # noqa: E402
from aitom_cryosam.napari.widget import CryoSAMWidget  # noqa: E402
from aitom_cryosam.napari.writer import write_points  # noqa: E402
from aitom_cryosam.picks import Picks  # noqa: E402
from aitom_cryosam.propagator import CrossPlanePropagator  # noqa: E402
from aitom_cryosam.record import Record  # noqa: E402
from aitom_cryosam.volumes.mrc import write_volume  # noqa: E402
from tests.ome_zarr_images import write_image  # noqa: E402
from tests.toys import small_simulation  # noqa: E402

FOREVER = 300_000  # milliseconds
STOPPED = "Stopped; the picks are as they were."


@pytest.fixture(scope="module")
def simulation():
    """40 x 76 x 90 voxels."""
    return small_simulation()


@pytest.fixture(scope="module")
def file(simulation, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("napari") / "TS_01.mrc"
    write_volume(path, simulation.data, voxel_size=20.0)
    return path


@pytest.fixture(scope="module")
def record(simulation, file) -> Record:
    picker = CryoSAM(Settings(preset="embedded", top_k=40, diameter_angstrom=250.0))
    result = picker.pick(Tomogram.open(file), simulation.points_zyx[1:3, ::-1])
    result.write(file.parent / "out")
    return Record.open(file.parent / "out")


def opened(*paths: Path) -> ViewerModel:
    viewer = ViewerModel()
    for path in paths:
        read = reader(str(path))
        assert read is not None
        for layer in read(str(path)):
            viewer.add_layer(Layer.create(*layer))
    return viewer


def panel(viewer: ViewerModel) -> CryoSAMWidget:
    """As from napari's menu, which gives viewers behind a proxy that makes proxies of layers."""
    return CryoSAMWidget(PublicOnlyProxy(viewer))


@pytest.fixture
def widget(qtbot, file) -> CryoSAMWidget:
    made = panel(opened(file))
    made.preset_box.setCurrentText("embedded")
    made.diameter_box.setValue(250)
    qtbot.addWidget(made)
    yield made
    if made.worker is not None:
        made.worker.stop()
        made.worker.wait(FOREVER)


def wait(qtbot, widget) -> None:
    qtbot.waitUntil(lambda: widget.worker is None, timeout=FOREVER)


def points_star(path: Path) -> np.ndarray:
    """(n, 3) x, y, z."""
    table = starfile.read(path, always_dict=True)["particles"]
    return table[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy(float)


def test_a_result_is_opened_as_it_was_written(record):
    viewer = opened(record.path.parent)
    assert [layer.name for layer in viewer.layers] == ["TS_01", "masks", "picks", "clicks"]
    image, masks, picks, clicks = viewer.layers
    assert image.data.shape == masks.data.shape == (40, 76, 90)
    np.testing.assert_allclose(picks.data, record.proposals.points_zyx)
    assert picks.shown.tolist() == record.proposals.kept.tolist()
    assert picks.features["id"].tolist() == record.proposals.ids.tolist()
    assert picks.features["reason"].tolist() == list(record.proposals.reasons)
    np.testing.assert_allclose(clicks.data, record.prompts.points_zyx)
    shown = np.asarray(picks.data[picks.shown])[:, ::-1]
    np.testing.assert_allclose(shown, points_star(record.files["picks"]), atol=1e-4)


def test_an_ome_zarr_image_is_shown_and_picked_in_like_its_mrc_file(
    qtbot, simulation, widget, tmp_path
):
    pytest.importorskip("zarr", reason="zarr is not installed")
    path = write_image(tmp_path / "TS_02.zarr", simulation.data, sizes=(20.0,))
    other = panel(opened(path))
    qtbot.addWidget(other)
    assert other.image.name == "TS_02"
    np.testing.assert_array_equal(np.asarray(other.image.data[7]), simulation.data[7])
    for made in (widget, other):
        made.preset_box.setCurrentText("embedded")
        made.diameter_box.setValue(250)
        made.add_click(simulation.points_zyx[1])
        made.show_mask()
        wait(qtbot, made)
    masks = [made.viewer.layers["mask of the click"].data for made in (widget, other)]
    np.testing.assert_array_equal(*masks)


def test_a_file_of_masks_is_a_layer_of_labels(record, file):
    image, masks = opened(file, record.files["labels"]).layers
    assert (masks.name, type(masks).__name__) == ("TS_01_labels", "Labels")
    np.testing.assert_array_equal(masks.data, record.labels())
    assert masks.scale.tolist() == image.scale.tolist()  # both count voxels


def test_what_is_no_tomogram_is_left_to_others(tmp_path):
    (tmp_path / "a.txt").write_text("")
    assert reader(str(tmp_path)) is None
    assert reader(str(tmp_path / "a.txt")) is None
    (tmp_path / "._TS_01_run.json").write_text("")  # as macOS leaves them beside others
    assert reader(str(tmp_path)) is None
    assert reader(str(tmp_path / "TS_01.rec.bz2")) is not None


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"scale": (20, 20, 20), "translate": (100, -50, 7)},
        {"scale": (2, 3, 5), "translate": (1, 2, 3), "rotate": (10, 20, 30)},
    ],
)
def test_clicks_are_voxels_of_the_tomogram_however_layers_lie(qtbot, simulation, place):
    """Unequal axes, a scaled, moved and turned image; the clicks' layer lies otherwise."""
    viewer = ViewerModel()
    image = viewer.add_image(simulation.data, name="TS_01", **place)
    image.metadata[KEY] = {"voxel_size": 20.0}
    made = panel(viewer)
    qtbot.addWidget(made)
    wanted = np.array([[10.0, 20, 30], [39, 75, 89]])
    for point in wanted:
        made.add_click(point)
    made.clicks.layer.translate = np.asarray(made.clicks.layer.translate) + 5
    made.clicks.layer.data = np.asarray(made.clicks.layer.data) - 5 / np.asarray(
        made.clicks.layer.scale
    )
    if "rotate" not in place:
        found, none = made.clicks.split()
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert len(none) == 0
    other = Points(
        wanted * (2, 4, 8) + 3, scale=(1 / 2, 1 / 4, 1 / 8), translate=(-1.5, -0.75, -0.375)
    )
    plain = viewer.add_image(simulation.data, name="plain")
    np.testing.assert_allclose(voxels_of(other, plain), wanted, atol=1e-9)


def test_picks_lie_in_the_star_file_where_napari_shows_them(qtbot, simulation, tmp_path):
    """A tomogram whose layer is scaled and moved, saved and read again."""
    viewer = ViewerModel()
    place = {"scale": (20, 20, 20), "translate": (100, -50, 7)}
    image = viewer.add_image(simulation.data, name="TS_07", **place)
    image.metadata[KEY] = {"voxel_size": 20.0}
    made = panel(viewer)
    qtbot.addWidget(made)
    made.preset_box.setCurrentText("embedded")
    made.diameter_box.setValue(250)
    made.add_click(simulation.points_zyx[1])
    made.pick()
    wait(qtbot, made)
    made.save(tmp_path)
    star = points_star(tmp_path / "TS_07_picks.star")
    layer = viewer.layers["picks"]
    world = np.array([layer.data_to_world(point) for point in layer.data[layer.shown]])
    np.testing.assert_allclose((world - (100, -50, 7))[:, ::-1] / 20, star, atol=1e-4)
    offsets = np.linalg.norm(star[:, None, ::-1] - simulation.points_zyx[:8], axis=2)
    assert (offsets.min(axis=0) < 5).sum() >= 6  # and these are the particles


def test_a_mask_a_pick_a_second_pick_and_its_files(qtbot, widget, simulation, tmp_path):
    widget.add_click(simulation.points_zyx[1])
    widget.show_mask()
    wait(qtbot, widget)
    mask = widget.viewer.layers["mask of the click"].data
    assert mask[tuple(np.round(simulation.points_zyx[1]).astype(int))] == 1
    widget.pick()
    wait(qtbot, widget)
    features = widget.session().features
    first = widget.result
    assert len(first.picks) > 0
    widget.add_click(simulation.points_zyx[2])
    widget.pick()
    wait(qtbot, widget)
    assert widget.session().features is features
    assert len(widget.result.prompts) == 2
    picks = widget.viewer.layers["picks"]
    assert set(picks.features) >= {"id", "score", "reason"}
    row = int(np.flatnonzero(widget.curation.kept)[0])
    widget._go_to(row, "")
    widget.judge(False)
    left_out = np.flatnonzero(~widget.curation.kept & (widget.curation.proposals.ids > 0))
    back = next(i for i in left_out if i != row)
    widget._go_to(int(back), "")
    widget.judge(True)
    widget.save(tmp_path)
    saved = Record.open(tmp_path)
    assert saved.proposals.ids.tolist() == widget.result.proposals.ids.tolist()
    assert not saved.proposals.kept[row]
    assert saved.proposals.reasons[row] == "rejected by hand"
    assert saved.proposals.kept[back]
    column = starfile.read(saved.files["proposals"], always_dict=True)["particles"][COLUMN]
    assert column[row].startswith("rejected_by_")
    assert column[back].startswith("accepted_by_")
    assert (column == "none").sum() == len(column) - 2
    numbers = set(np.unique(saved.labels()).tolist()) - {0}
    assert numbers <= set(saved.picks.ids.tolist())
    assert int(saved.proposals.ids[row]) not in numbers


def test_a_negative_click_leaves_out_what_lies_there(qtbot, widget, simulation):
    widget.add_click(simulation.points_zyx[1])
    widget.add_click(simulation.points_zyx[3], negative=True)
    positive, negative = widget.clicks.split()
    assert (len(positive), len(negative)) == (1, 1)
    widget.pick()
    wait(qtbot, widget)
    proposals = widget.result.proposals
    near = np.linalg.norm(proposals.points_zyx - simulation.points_zyx[3], axis=1) < 250 / 20 / 2
    assert near.any()
    assert not proposals.kept[near].any()
    assert set(np.array(proposals.reasons)[near]) == {"rejected by hand"}


def test_a_second_pick_makes_only_the_masks_that_are_new(qtbot, widget, simulation, monkeypatch):
    made, found = [], []
    propagate = CrossPlanePropagator.propagate

    def counted(self, tomogram, points_zyx, **how):
        made.append(points_zyx)
        return propagate(self, tomogram, points_zyx, **how)

    monkeypatch.setattr(CrossPlanePropagator, "propagate", counted)
    monkeypatch.setattr("aitom_cryosam.agreement.quietly", lambda *_: None)
    for point in simulation.points_zyx[1:3]:
        widget.add_click(point)
        widget.pick()
        wait(qtbot, widget)
        found.append(len(widget.result.picks))
    assert len(made[2]) == 1  # the new click
    assert found[1] - len(made[3]) > found[0] / 2  # most that are picks again are known
    every = np.concatenate(made)
    assert len(np.unique(every, axis=0)) == len(every)
    session = Session(widget.session().tomogram)
    alone = session.pick(*widget.clicks.split(), widget.settings)
    np.testing.assert_array_equal(alone.proposals.points_zyx, widget.result.proposals.points_zyx)
    np.testing.assert_array_equal(alone.labels(), widget.result.labels())
    np.testing.assert_array_equal(alone.proposals.scores, widget.result.proposals.scores)


def test_a_second_pick_has_the_features_of_the_first_diameter(widget, simulation, monkeypatch):
    asked = []
    extract = CryoSAM.features

    def counted(self, tomogram, diameter_voxels):
        asked.append(diameter_voxels)
        return extract(self, tomogram, diameter_voxels)

    monkeypatch.setattr(CryoSAM, "features", counted)
    session = Session(widget.session().tomogram)
    settings = replace(widget.settings, diameter_angstrom=250.0, looks=3)
    for _ in range(2):
        session.pick(simulation.points_zyx[1:2], np.zeros((0, 3)), settings)
    first, *aside = asked[:3]
    assert asked == [first, *aside, *aside]
    assert min(aside) < first < max(aside)


def test_a_mask_is_shown_in_three_planes_before_it_is_whole(qtbot, widget, simulation, monkeypatch):
    click = np.round(simulation.points_zyx[1]).astype(int)
    shown = []
    put = CryoSAMWidget._put_labels

    def kept(self, name, volume):
        shown.append((name, volume > 0))
        put(self, name, volume)

    monkeypatch.setattr(CryoSAMWidget, "_put_labels", kept)
    widget.add_click(click)
    widget.show_mask()
    wait(qtbot, widget)
    assert widget.viewer.layers.selection.active is widget.clicks.layer
    (first, outline), (second, mask) = shown
    assert first == second == "mask of the click"
    assert (np.argwhere(outline) == click).any(axis=1).all()
    assert (outline & mask).sum() > 0.9 * outline.sum()
    assert [outline.take(click[axis], axis).sum() > 50 for axis in range(3)] == [True] * 3
    assert mask.sum() > 3 * outline.sum()


def test_the_walks_of_a_mask_can_be_stopped(qtbot, widget, simulation, monkeypatch):
    def endless(self, tomogram, points_zyx, *, progress, stage):
        for _ in range(FOREVER):
            progress(stage, 0, 6)
            time.sleep(1e-3)

    monkeypatch.setattr(CrossPlanePropagator, "propagate", endless)
    widget.add_click(simulation.points_zyx[1])
    widget.show_mask()
    qtbot.waitUntil(lambda: "mask of the click" in widget.viewer.layers, timeout=FOREVER)
    assert "the other planes follow" in widget.message.text()
    widget.cancel()
    wait(qtbot, widget)
    assert widget.message.text() == STOPPED
    assert widget.viewer.layers["mask of the click"].data.any()


def test_picks_lie_in_the_region_that_was_painted(qtbot, widget, simulation):
    half = np.zeros(simulation.data.shape, np.int32)
    widget.viewer.add_labels(half, name="good ice")
    assert [widget.region_box.itemText(i) for i in range(2)] == ["everywhere", "good ice"]
    widget.region_box.setCurrentText("good ice")
    widget.add_click(simulation.points_zyx[1])
    widget.pick()
    wait(qtbot, widget)
    assert widget.box.text() == "The region is empty: paint where picks may lie."
    half[:, :, :45] = 3
    widget.pick()
    wait(qtbot, widget)
    assert len(widget.result.picks) > 0
    assert (widget.result.picks.points_zyx[:, 2] < 47).all()  # a mask moves a pick a little


def test_the_diameter_is_a_circle_that_can_be_dragged(widget, simulation):
    widget.add_click(simulation.points_zyx[1])
    widget.show_circle()
    (corners,) = widget.circle.layer.data
    np.testing.assert_allclose(np.ptp(corners, axis=0), [0, 12.5, 12.5], atol=1e-3)
    np.testing.assert_allclose(corners.mean(axis=0), simulation.points_zyx[1], atol=1e-3)
    larger = corners.copy()
    larger[1:3, 2] += 4  # one handle along x
    widget.circle.layer.data = [(larger, "ellipse")]
    assert widget.diameter_box.value() == pytest.approx(20 * (12.5 + 16.5) / 2, abs=0.1)
    assert np.ptp(widget.circle.layer.data[0], axis=0) == pytest.approx([0, 14.5, 14.5], abs=1e-2)
    widget.diameter_box.setValue(200)
    assert np.ptp(widget.circle.layer.data[0], axis=0) == pytest.approx([0, 10, 10], abs=1e-2)
    widget.diameter_box.setValue(0)
    widget.show_circle()  # from the click
    assert 180 < widget.diameter_box.value() < 300


def test_a_result_that_was_opened_is_judged_and_saved(qtbot, record, tmp_path):
    made = panel(opened(record.path.parent))
    qtbot.addWidget(made)
    proposals = record.proposals
    bad = int(np.flatnonzero(proposals.kept)[0])
    good = int(np.flatnonzero(~proposals.kept)[0])
    for row, accepted in ((bad, False), (good, True)):
        made._go_to(row, "")
        made.judge(accepted)
    made.save(tmp_path)
    saved = Record.open(tmp_path)
    saved.check()
    assert saved.proposals.ids.tolist() == proposals.ids.tolist()
    assert saved.proposals.kept.sum() == proposals.kept.sum()
    assert not saved.proposals.kept[bad]
    assert saved.proposals.reasons[bad] == "rejected by hand"
    assert saved.content["versions"] == record.content["versions"]
    numbers = set(np.unique(saved.labels()).tolist()) - {0}
    assert int(proposals.ids[bad]) not in numbers
    (mask,) = [one for one in saved.masks if one.id == proposals.ids[good]]
    grown = Session(record.tomogram()).mask(
        proposals.points_zyx[good],
        replace(record.settings, diameter_angstrom=record.diameter_angstrom),
    )
    assert 0 < mask.volume <= grown.volume


def test_a_run_can_be_stopped(qtbot, widget, simulation):
    widget.add_click(simulation.points_zyx[1])
    widget.pick()
    assert widget.buttons["Cancel"].isEnabled()
    widget.cancel()
    wait(qtbot, widget)
    assert widget.result is None
    assert widget.message.text() == STOPPED
    assert widget.buttons["Pick"].isEnabled()


def test_the_slider_cuts_five_thousand_picks_ten_times_a_second(qtbot):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (5000, 3))
    proposals = Picks.from_points(points, np.sort(rng.random(5000))[::-1])
    viewer = ViewerModel()
    viewer.add_image(np.zeros((100, 100, 100), np.float32), name="TS_01")
    made = panel(viewer)
    qtbot.addWidget(made)
    made.curation = Curation(proposals, "me")
    made._picks = viewer.add_points(points, name="picks", features={"score": proposals.scores})
    made._set_slider()
    start = time.perf_counter()
    for value in range(0, 5000, 100):
        made.slider.setValue(value)
    assert (time.perf_counter() - start) / 50 < 0.1
    assert viewer.layers["picks"].shown.sum() == value


def test_curation_keeps_the_person_s_word_over_the_cut_and_undoes():
    proposals = Picks.from_points(np.zeros((4, 3)), np.array([0.9, 0.6, 0.4, 0.1]))
    proposals = proposals.reject([2, 3], "another kind")
    curation = Curation(proposals, "me")
    assert curation.suggest() == 1  # nearest to where the run has cut
    curation.decide(1, False)
    assert curation.suggest() == 2
    curation.cut = 0.05
    assert curation.kept.tolist() == [True, False, True, True]
    assert (curation.following(0), curation.following(3), curation.following(0, -1)) == (2, 0, 3)
    curated = curation.curated()
    assert curated.reasons == ("", "rejected by hand", "", "")
    assert curated.extra[COLUMN] == ("none", "rejected_by_me", "none", "none")
    assert (curation.undo(), curation.undo()) == (1, None)
    assert curation.kept.all()


def test_an_error_is_a_box_in_the_widget_s_words(qtbot, widget):
    widget.show_mask()
    assert widget.box.text() == "There is no click"
    assert widget.box.informativeText() == "Click on a particle"
    widget.add_click(np.array([5.0, 5, 500]))
    assert widget.clicks.layer is None
    assert widget.message.text() == "That is beside the tomogram; click on a particle."
    widget.new_clicks()
    widget.clicks.add(np.array([5.0, 5, 500]))  # as in a layer that was opened
    widget.pick()
    wait(qtbot, widget)
    assert "lies outside the tomogram" in widget.box.text()
    widget.voxel_box.setValue(0)
    widget.image.metadata[KEY] = {}
    widget.pick()
    assert widget.box.informativeText() == "Fill in the voxel size, Å"


@pytest.mark.parametrize("ending", [".star", ".tbl", ".ndjson", ".cbox"])
def test_points_are_written_in_every_format(record, tmp_path, ending):
    from aitom_cryosam.points.reading import read_points

    layer = opened(record.path.parent).layers["picks"]
    data, meta, _ = layer.as_layer_data_tuple()
    (path, *_) = write_points(str(tmp_path / f"picks{ending}"), data, meta)
    read = read_points(path, voxel_size=20.0, shape_zyx=(40, 76, 90)).picks
    np.testing.assert_allclose(
        np.sort(read.points_zyx, axis=0), np.sort(record.picks.points_zyx, axis=0), atol=1e-3
    )
    with pytest.raises(InputError, match="Expected a file that ends with"):
        write_points(str(tmp_path / "picks.xyz"), data, meta)


def test_the_widget_takes_over_a_result_that_was_opened_before(qtbot, record):
    viewer = opened(record.path.parent)
    made = panel(viewer)
    qtbot.addWidget(made)
    before = int(record.proposals.kept.sum())
    assert made.count.text() == f"{before} picks"
    made.slider.setValue(made.slider.maximum())
    assert viewer.layers["picks"].shown.sum() > before
    made.slider.setValue(0)
    assert viewer.layers["picks"].shown.sum() == 0


def test_the_manifest_names_what_is_there():
    npe2 = pytest.importorskip("npe2")
    path = Path(__file__).parents[1] / "aitom_cryosam" / "napari" / "napari.yaml"
    manifest = npe2.PluginManifest.from_file(path)
    manifest.validate_imports()
    assert [one.display_name for one in manifest.contributions.widgets] == ["CryoSAM"]


def add(viewer, path: Path) -> None:
    for layer in reader(str(path))(str(path)):
        viewer.add_layer(Layer.create(*layer))


def test_layers_are_the_user_s_to_rename_and_remove(qtbot, record, tmp_path):
    made = panel(opened())
    qtbot.addWidget(made)
    for action in (made.buttons["Click"].click, lambda: made.add_click(np.zeros(3))):
        made.say("")
        action()
        assert made.message.text() == "There is no tomogram: open one with three axes first."
        made.box.close()
    add(made.viewer, record.path.parent)  # with the panel open
    assert made.count.text() == f"{len(record.picks)} picks"
    for layer in made.viewer.layers:
        layer.name = f"my {layer.name}"
    assert made.image.name == made.tomogram_box.currentText() == "my TS_01"
    np.testing.assert_allclose(made.clicks.split()[0], record.prompts.points_zyx)
    made.follow()
    made.judge(False)
    assert made.viewer.layers["my picks"].shown.sum() == len(record.picks) - 1
    made.viewer.layers.remove("my picks")
    made.slider.setValue(made.slider.value() + 1)
    made.export(tmp_path / "out.star")
    assert len(points_star(tmp_path / "out.star")) == made.viewer.layers["my picks"].shown.sum()


def test_a_second_result_does_not_take_the_place_of_the_picks(qtbot, record):
    made = panel(opened(record.path.parent))
    qtbot.addWidget(made)
    made.follow()
    made.judge(False)
    curation = made.curation
    add(made.viewer, record.path.parent)
    assert made.curation is curation
    assert "remove the layer of the others" in made.message.text()
    made.viewer.layers.remove("picks")
    add(made.viewer, record.path.parent)
    assert made.count.text() == f"{len(record.picks)} picks"


def test_a_layer_of_clicks_of_the_user_s_own_is_of_particles(widget, simulation):
    widget.viewer.add_points(simulation.points_zyx[:2], name="clicks")
    positive, negative = widget.clicks.split()
    np.testing.assert_allclose(positive, simulation.points_zyx[:2])
    assert len(negative) == 0
    widget.add_click(simulation.points_zyx[2], negative=True)
    assert [len(some) for some in widget.clicks.split()] == [2, 1]


def test_picks_are_saved_on_their_own_tomogram_whichever_is_chosen(qtbot, record, tmp_path):
    made = panel(opened(record.path.parent))
    qtbot.addWidget(made)
    good = int(np.flatnonzero(~record.proposals.kept)[0])
    made._go_to(good, "")
    made.judge(True)
    made.save(tmp_path / "one")
    made.viewer.add_image(np.zeros((40, 76, 90), np.float32), name="another")
    made.tomogram_box.setCurrentText("another")
    made.contrast_box.setCurrentText("bright")
    made.save(tmp_path / "two")
    one, two = (Record.open(tmp_path / name).labels() for name in ("one", "two"))
    assert (one == record.proposals.ids[good]).any()
    np.testing.assert_array_equal(one, two)


def test_a_picture_in_colours_is_no_tomogram_and_a_pyramid_is_its_finest_level(widget, simulation):
    widget.viewer.add_image(np.zeros((10, 30, 30, 3), np.uint8), name="colours", rgb=True)
    levels = [simulation.data, simulation.data[::2, ::2, ::2]]
    widget.viewer.add_image(levels, name="pyramid", multiscale=True)
    names = [widget.tomogram_box.itemText(i) for i in range(widget.tomogram_box.count())]
    assert names == ["TS_01", "pyramid"]
    widget.tomogram_box.setCurrentText("pyramid")
    widget.voxel_box.setValue(20)
    assert widget.session().tomogram.shape == simulation.data.shape
