"""The report: one file, escaped, small, readable without a browser's help."""

import json
import logging
import re
import shutil
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Settings, Tomogram
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.record import Record
from aitom_cryosam.report import figures
from aitom_cryosam.report.figures import label_overlay
from aitom_cryosam.report.files import write_report
from aitom_cryosam.report.gallery import movable
from aitom_cryosam.report.page import KnownPositions, page
from aitom_cryosam.report.section import Section
from aitom_cryosam.trace import Trace
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

NAME = "<script>alert(1)<&'\"TS_01"
VOID = {"meta", "link", "img", "br", "input", "path", "rect", "line", "image", "use"}


class Parsed(HTMLParser):
    """Tags with their attributes, and whether every one is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, wanted: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == wanted]


@pytest.fixture(scope="module")
def simulation():
    return small_simulation()


@pytest.fixture(scope="module")
def record(simulation, tmp_path_factory) -> Record:
    """Of a tomogram with a name that means something in HTML, on three unequal axes."""
    folder = tmp_path_factory.mktemp("report")
    path = folder / f"{NAME}.mrc"
    write_volume(path, simulation.data, voxel_size=20.0)
    settings = Settings(preset="embedded", top_k=40, diameter_angstrom=250.0)
    clicks = simulation.points_zyx[1:3, ::-1]
    result = CryoSAM(settings).pick(Tomogram.open(path), clicks)
    result.write(folder / "out")
    return Record.open(folder / "out")


@pytest.fixture(scope="module")
def text(record, simulation) -> str:
    return page(record, KnownPositions(Picks.from_points(simulation.points_zyx[:8]), 100.0))


@pytest.fixture(scope="module")
def parsed(text) -> Parsed:
    return Parsed(text)


def test_it_is_one_small_file_that_asks_for_nothing(text, parsed):
    assert len(text) < 5e6
    assert parsed.open == []
    policy = next(one for one in parsed.all("meta") if "http-equiv" in one)["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for _, attributes in parsed.tags:
        for name in ("src", "href"):
            if name in attributes:
                assert re.match(r"data:image/|data:,|#[a-z]+$", attributes[name])
    assert "url(" not in text
    assert "@import" not in text


def test_every_text_of_the_user_is_escaped(text, parsed):
    assert len(parsed.all("script")) == 2
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_it_says_what_the_record_says(text, record):
    assert f"<dd>{len(record.picks)} <small>of {len(record.proposals)} proposals" in text
    assert "250 Å" in text
    assert "90 × 76 × 40" in text
    assert record.provenance["sha256"] in text
    assert "WarpTools ts_export_particles" in text
    assert str(record.files["picks"].resolve()).replace("'", "&#39;")[:20] in text
    for reason in {reason for reason in record.proposals.reasons if reason}:
        assert reason in text
    for heading in (
        "From the click",
        "The clicked particle",
        "Scores and",
        "Where the picks",
        "Gallery",
        "Against the known",
        "What the clicks",
        "Next",
        "How it came",
    ):
        assert heading in text  # fmt: skip


def test_six_panels_lead_from_the_click_to_the_picks(parsed):
    labels = [one["aria-label"] for one in parsed.all("svg") if "aria-label" in one]
    assert [label.split(",")[0] for label in labels[:6]] == [
        "the click", "its mask", "similarity with it", "proposals", "masks of the picks", "picks",
    ]  # fmt: skip
    assert labels[-3:] == ["across z", "across y", "across x"]


def test_the_slider_has_what_a_cut_can_move(text, record):
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    rows = np.array(data["rows"])
    assert rows.tolist() == np.flatnonzero(movable(record.proposals)).tolist()
    assert np.allclose(data["scores"], record.proposals.scores[rows], atol=1e-4)
    assert data["cut"] == pytest.approx(record.picks.scores.min(), abs=1e-4)
    assert data["kept"] == record.proposals.kept[rows].tolist()
    assert data["span"] == [record.proposals.scores.min(), record.proposals.scores.max()]
    typed = re.search(r'<pre id="typed" hidden>(.*?)</pre>', text)
    assert typed
    assert typed[1].endswith("_run.json&#39; --top NUMBER --out selected")


def test_what_a_user_asks_first_comes_first(text, record, parsed):
    """How many picks, how many of them are right, where they are; then why."""
    share = record.content["counts"]["expected_precision"]
    assert f"<dt>expected to be right</dt><dd>{100 * share:.0f} %</dd>" in text
    assert f'expected precision <b id="precision">{100 * share:.0f} %</b>' in text
    assert re.search(r"<dt>F1, within 100 Å</dt><dd>\d\.\d\d <small>precision", text)
    sections = [one["id"] for one in parsed.all("section")]
    assert sections[-8:] == [
        "maps", "scores", "gallery", "failures", "instance", "clicks", "next", "record",
    ]  # fmt: skip
    assert {one["href"] for one in parsed.all("a")} <= {f"#{name}" for name in sections}


def test_a_page_of_a_structure_speaks_of_points(record):
    """There are no proposals, probabilities and masks of clicks, and no cut."""
    target = {"name": "membrane", "spacing_angstrom": 100.0}
    content = {**record.content, "target": target, "counts": {"structures": 2}}
    files = {**record.files, "semantic": record.files["labels"]}
    text = page(replace(record, content=content, files=files))
    parsed = Parsed(text)
    assert parsed.open == []
    assert f"{len(record.picks)} points on 2 membranes, from 2 of 2 clicks" in text
    sections = [one["id"] for one in parsed.all("section")]
    assert sections[-5:] == ["maps", "instance", "clicks", "next", "record"]
    assert {one["href"] for one in parsed.all("a")} <= {f"#{name}" for name in sections}
    assert "proposals" not in text.replace("proposals.star", "").split("<h2>How it came about")[0]
    assert "--exclude-distance 50" in text


def test_a_page_without_picks_expects_nothing(record, tmp_path):
    typed = ["select", str(record.path), "--cut", "2", "--out", str(tmp_path)]
    assert main(typed) == 0
    text = page(Record.open(tmp_path))
    assert "expected to be right" not in text
    assert "<b>0</b>" not in text
    assert '<b id="count">0</b> picks from <span id="cutvalue">–</span>' in text


def test_bars_count_every_proposal(text, record):
    bars = re.findall(r"<title>\S+ to \S+: (\d+) picks, (\d+) left out", text)
    assert sum(int(picks) for picks, _ in bars) == len(record.picks)
    assert sum(int(a) + int(b) for a, b in bars) == len(record.proposals)


def test_maps_show_every_movable_proposal_where_it_is(text, record):
    maps = text[text.index('id="maps"') : text.index('id="gallery"')]
    above, side = maps.split("<figure>")[1:3]
    rows = np.flatnonzero(movable(record.proposals))
    for part, axis, height in ((above, 1, 76), (side, 0, 40)):
        found = re.findall(
            r'<circle class="(\w+)" cx="(\S+)" cy="(\S+)" \S+ data-row="(\d+)"', part
        )
        assert sorted(int(row) for *_, row in found) == rows.tolist()
        for kind, x, y, row in found:
            point = record.proposals.points_zyx[int(row)]
            assert float(x) == pytest.approx(point[2] + 0.5, abs=0.06)
            assert float(y) == pytest.approx(height - point[axis] - 0.5, abs=0.06)
            assert kind == ("pick" if record.proposals.kept[int(row)] else "left")


def test_a_section_places_a_voxel_where_its_picture_has_it():
    data = np.zeros((5, 7, 11), np.float32)
    data[3, 2, 8] = 1
    point = np.array([[3.0, 2.0, 8.0]])
    for axis in range(3):
        for section in (
            Section.whole(data, axis, int(point[0, axis]), 1),
            Section.around(data, axis, point[0], 9, 1),
        ):
            row, column = np.argwhere(section.values[::-1] == 1)[0]
            assert section.place(point)[0].tolist() == [column + 0.5, row + 0.5]


def test_a_section_beside_the_data_is_black():
    data = np.arange(5 * 7 * 11, dtype=np.float32).reshape(5, 7, 11)
    for axis, outside in product(range(3), (-40, -4, 3, 30)):
        point = np.full(3, outside) + np.where(outside > 0, data.shape, 0)
        values = Section.around(data, axis, point, 9, 1).values
        assert values.shape == (9, 9)
        if abs(outside) > 9:
            assert not values.any()


def test_truth_outside_the_tomogram_is_told_and_shown_as_missed(record, tmp_path, caplog):
    (tmp_path / "far.csv").write_text("x,y,z\n900,20,5\n")
    asked = ["report", str(record.path), "--out", str(tmp_path / "a.html")]
    assert main([*asked, "--truth", str(tmp_path / "far.csv"), "--radius", "60"]) == 0
    assert "1 of 1 points lie outside" in caplog.text
    assert "known, not proposed" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_radius_of_nothing_is_not_the_usual_one(record, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("x,y,z\n9,20,5\n")
    asked = ["report", str(record.path), "--out", str(tmp_path / "a.html"), "--radius", "0"]
    assert main([*asked, "--truth", str(tmp_path / "t.csv")]) == 2
    assert "Expected a radius above 0 Å, got 0" in capsys.readouterr().err


def test_an_outline_goes_around_its_voxels():
    data = np.zeros((9, 12, 15), np.float32)
    cube = ParticleMask(1, np.full(3, 4.0), np.array([3, 5, 6]), np.ones((3, 3, 3), bool), 1.0)
    path = Section.whole(data, 0, 4, 1).outline(cube)
    numbers = np.array(re.findall(r"[\d.]+,[\d.]+", path))
    x, y = np.array([pair.split(",") for pair in numbers], float).T
    assert (x.min(), x.max()) == (6, 9)  # voxels 6 to 8, drawn from edge to edge
    assert (y.min(), y.max()) == (12 - 8, 12 - 5)
    assert Section.whole(data, 0, 8, 1).outline(cube) == ""


def test_a_trace_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    empty = ParticleMask(2, np.full(3, 1.0), np.zeros(3, int), np.zeros((0, 0, 0), bool), 0.0)
    full = ParticleMask(
        1,
        np.array([4.0, 5, 6]),
        np.array([3, 4, 5]),
        rng.random((3, 4, 5)) < 0.5,
        0.8,
        {"+z": "iou"},
    )
    similarity = rng.random((4, 5, 6)).astype(np.float32)
    trace = Trace.of([full, empty], np.array([9.0, 3, 23]), 4, similarity, 0.25)
    trace.write(tmp_path / "a.npz")
    read = Trace.read(tmp_path / "a.npz")
    assert np.array_equal(read.masks[0].mask, full.mask)
    assert read.masks[0].offset_zyx.tolist() == [3, 4, 5]
    assert (read.masks[0].stops, read.masks[1].volume) == ({"+z": "iou"}, 0)
    assert (read.ratio, read.chance) == (4, 0.25)
    for found, cut in zip(
        read.similarity, (similarity[2], similarity[:, 0], similarity[..., 5]), strict=True
    ):
        np.testing.assert_allclose(found, cut, atol=1e-3)
    trace.write(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    (tmp_path / "c.npz").write_text("nothing")
    with pytest.raises(InputError, match=r"c\.npz is not the trace"):
        Trace.read(tmp_path / "c.npz")


def test_labels_are_coloured_only_where_there_are_some():
    assert label_overlay(np.zeros((4, 5), int)).startswith("data:image/png;base64,")


def test_the_command_writes_a_page_or_a_project(record, tmp_path, capsys):
    folder = str(record.path.parent)
    out = tmp_path / "new" / "report.html"
    assert main(["report", folder, "--out", str(out)]) == 0
    assert out.read_text() == page(record)
    assert main(["report", folder, "--out", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["report", folder, folder, "--out", str(tmp_path / "all.html")]) == 0
    index = Parsed((tmp_path / "all.html").read_text())
    links = [one["href"] for one in index.all("a")]
    assert len(set(links)) == 2
    assert all((tmp_path / link).is_file() for link in links)
    assert f"in {folder}" not in (tmp_path / "all.html").read_text()


def test_results_of_one_name_are_told_apart_by_their_folders(record, tmp_path):
    shutil.copytree(record.path.parent, tmp_path / "later")
    folders = [str(record.path.parent), str(tmp_path / "later")]
    assert main(["report", *folders, "--out", str(tmp_path / "all.html")]) == 0
    cells = (tmp_path / "all.html").read_text()
    assert all(f"</a> in {folder}</td>" in cells for folder in folders)


def test_what_cannot_be_shown_is_one_sentence(record, tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "a.html")]) == 2
    assert "holds no *_run.json; expected a folder that `pick` wrote." in capsys.readouterr().err
    assert main(["report", str(record.path), "--out", str(tmp_path / "a.txt")]) == 2
    assert "Expected a page to write" in capsys.readouterr().err
    asked = ["report", str(record.path), "--out", str(tmp_path / "a.html")]
    for option in (["--radius", "5"], ["--class", "a"], ["--truth-angpix", "2"]):
        assert main([*asked, *option]) == 2
        assert f"{option[0]} is for --truth FILE" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_a_tomogram_that_is_gone_or_another_is_told(record, tmp_path, caplog):
    content = json.loads(record.path.read_text())
    content["tomogram"]["path"] = str(tmp_path / "gone.mrc")
    run = tmp_path / "x_run.json"
    run.write_text(json.dumps(content))
    for file in record.files.values():
        if file != record.path:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"There is no file .*gone\.mrc"):
        page(Record.open(run))
    write_volume(tmp_path / "gone.mrc", np.ones((4, 5, 6), np.float32), voxel_size=20)
    with pytest.raises(InputError, match="replaced after the run"):
        page(Record.open(run))
    with caplog.at_level(logging.WARNING):
        files = write_report(tmp_path / "all.html", [Record.open(run), record])
    assert len(files) == 2
    assert all(file.is_file() for file in files)
    assert "No page of" in caplog.text
    index = (tmp_path / "all.html").read_text()
    assert f"{len(record.picks)} picks in 2 tomograms" in index
    assert "replaced after the run" in index


def test_a_page_takes_little_memory(record):
    tracemalloc.start()
    page(record)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


def test_a_result_of_an_earlier_version_has_no_trace_but_a_page():
    folder = Path(__file__).parent / "results_of_0.1"
    with pytest.raises(InputError, match="There is no file"):
        page(Record.open(folder))


def test_a_run_without_clicks_of_its_own_has_a_page(record, simulation, tmp_path):
    """As after a query from another tomogram."""
    assert record.tomogram_path is not None
    picker = CryoSAM(record.settings)
    tomogram = Tomogram.open(record.tomogram_path, voxel_size=20.0)
    query = picker.query(tomogram, simulation.points_zyx[1:2, ::-1])
    picker.pick(tomogram, [], query=query).write(tmp_path)
    text = page(Record.open(tmp_path))
    assert "From the click" in text
    assert "The clicked particle" not in text


def test_a_query_of_another_version_leaves_one_column_empty(record, tmp_path):
    for file in record.files.values():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / record.files["query"].name).write_bytes(b"another version")
    text = page(Record.open(tmp_path))
    assert text.count('<td class="number">–</td>') == len(record.prompts)


def test_a_similarity_without_a_chance_level_has_no_colours():
    """As where a region leaves too few places to tell one."""
    plane = np.array([[0.2, 0.9], [np.nan, 0.4]])
    shown = figures.similarity_overlay(plane, np.inf, 2, (4, 4))
    assert shown == figures.similarity_overlay(np.zeros((2, 2)), 1.0, 2, (4, 4))
    assert shown != figures.similarity_overlay(plane, 0.1, 2, (4, 4))
