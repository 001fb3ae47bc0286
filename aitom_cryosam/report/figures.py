"""The figures of one run: the paper's figure 4 from the click to the picks, as SVG parts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aitom_cryosam.geometry import outer_faces
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.report.images import heat, limits, overlay
from aitom_cryosam.report.section import Section

SHOWN = 20.0
"""Voxels: proposals and picks this far from the slice are drawn, as in the paper's figures."""
STOPS = {
    "iou": "overlap fell",
    "empty": "no mask",
    "border": "border",
    "size limit": "too wide",
}
"""Why a walk ended, as people say it."""
_PLANES = "zyx"


@dataclass(frozen=True)
class Circle:
    """A point on a picture.

    Attributes:
        x, y: voxels of the picture.
        kind: "pick", "left" or "click".
        row: of the proposal, for the slider; -1 for a click.
        title: what the pointer shows.
    """

    x: float
    y: float
    kind: str
    row: int = -1
    title: str = ""


@dataclass(frozen=True)
class Panel:
    """A slice with what is drawn on it.

    Attributes:
        title: below it.
        box: SVG view box, voxels.
        picture: data URI, or the id of a picture that several panels share, after a "#".
        overlay: data URI of colours over it, or "".
        circles: points.
        radius: of the circles, voxels.
        outlines: SVG paths of masks.
        walks: lines from a click to where a walk ended.
    """

    title: str
    box: str
    picture: str
    overlay: str = ""
    circles: tuple[Circle, ...] = ()
    radius: float = 1.0
    outlines: tuple[str, ...] = ()
    walks: tuple[Walk, ...] = ()

    @property
    def width(self) -> float:
        """Voxels."""
        return float(self.box.split()[2])

    @property
    def height(self) -> float:
        """Voxels."""
        return float(self.box.split()[3])


@dataclass(frozen=True)
class Walk:
    """A walk on a picture.

    Attributes:
        line: x1, y1, x2, y2.
        name: "+z" and so on.
        stop: why it ended, for people.
        anchor: SVG text anchor of its label: "end" and "start" for one at the right and left rim.
    """

    line: tuple[float, float, float, float]
    name: str
    stop: str
    anchor: str = field(default="middle")


def circles(
    section: Section, picks: Picks, rows: np.ndarray, *, reach: float, kind: str = ""
) -> tuple[Circle, ...]:
    """Points near a slice.

    Args:
        section: to draw on.
        picks: of which rows are drawn.
        rows: (m,) indices.
        reach: voxels from the slice.
        kind: of all circles; "pick" or "left" by the verdict if empty.
    """
    rows = rows[np.isin(rows, section.near(picks.points_zyx, reach))]
    return tuple(
        Circle(
            round(float(x), 1),
            round(float(y), 1),
            kind or ("pick" if picks.kept[row] else "left"),
            int(row),
            _title(picks, int(row)),
        )
        for row, (x, y) in zip(rows, section.place(picks.points_zyx[rows]), strict=True)
    )


def clicks(section: Section, points_zyx: np.ndarray, reach: float) -> tuple[Circle, ...]:
    """The clicks within `reach` voxels of a slice."""
    near = section.near(points_zyx, reach)
    return tuple(
        Circle(round(float(x), 1), round(float(y), 1), "click", title=_xyz(points_zyx[row]))
        for row, (x, y) in zip(near, section.place(points_zyx[near]), strict=True)
    )


def similarity_overlay(plane: np.ndarray, chance: float, ratio: int, size: tuple[int, int]) -> str:
    """Colours of a plane of the similarity map; what is below chance stays clear.

    Args:
        plane: (rows, columns) of cells.
        chance: where colours begin; inf where too few places tell it.
        ratio: voxels of a cell.
        size: rows and columns of the slice, voxels.
    """
    finite = np.where(np.isfinite(plane), plane, -1)
    top = max(float(finite.max()), chance + 1e-6)
    scaled = (finite - chance) / (top - chance) if np.isfinite(chance) else np.zeros(plane.shape)
    voxels = np.kron(scaled, np.ones((ratio, ratio), np.float32))[: size[0], : size[1]]
    return overlay(heat(voxels)[::-1])


def label_overlay(plane: np.ndarray) -> str:
    """Colours of the masks in a slice of the labels: neighbours in number differ.

    Args:
        plane: (rows, columns) ids, 0 for none.
    """
    colours = np.array(
        [[255, 210, 63], [53, 208, 255], [255, 122, 89], [140, 230, 120], [201, 140, 255],
         [255, 160, 210], [120, 160, 255]]
    )  # fmt: skip
    shown = np.zeros((*plane.shape, 4), np.uint8)
    inside = plane > 0
    shown[inside, :3] = colours[plane[inside].astype(np.int64) % len(colours)]
    shown[inside, 3] = 165
    return overlay(shown[::-1])


def instance_panels(
    data: np.ndarray, point_zyx: np.ndarray, mask: ParticleMask, diameter: float
) -> list[Panel]:
    """The mask of a click in the three planes through it, with its six walks.

    Args:
        data: (D, H, W) of the tomogram.
        point_zyx: (3,) the click.
        mask: grown from it.
        diameter: voxels.
    """
    side = max(int(2.6 * diameter) | 1, 9)
    panels = []
    for axis in range(3):
        section = Section.around(data, axis, point_zyx, side, 1)
        wide = Section.around(data, axis, point_zyx, side, max(int(diameter / 4), 1))
        ((x, y),) = section.place(point_zyx[None])
        panels.append(
            Panel(
                title=f"across {_PLANES[axis]}",
                box=section.box,
                picture=wide.picture(limits(wide.values)),
                circles=(Circle(float(x), float(y), "click"),),
                radius=side / 28,
                outlines=tuple(filter(None, [section.outline(mask)])),
                walks=tuple(_walks(section, point_zyx, mask)),
            )
        )
    return panels


def _walks(section: Section, point: np.ndarray, mask: ParticleMask) -> list[Walk]:
    """The four walks that lie in a slice."""
    drawn = []
    for axis in (other for other in range(3) if other != section.axis):
        for sign in (1, -1):
            name = ("+" if sign > 0 else "-") + _PLANES[axis]
            if name not in mask.stops or not mask.volume or mask.is_ball:
                continue
            end = point.astype(np.float64).copy()
            low, high = outer_faces(int(mask.offset_zyx[axis]), mask.mask.shape[axis])
            end[axis] = high if sign > 0 else low
            (start, stop) = section.place(np.stack([point, end]))
            stopped = STOPS.get(mask.stops[name], mask.stops[name])
            line = tuple(round(float(value), 1) for value in (*start, *stop))
            anchor = "middle"
            if abs(line[0] - line[2]) > abs(line[1] - line[3]):
                anchor = "end" if line[2] > line[0] else "start"
            drawn.append(Walk((line[0], line[1], line[2], line[3]), name, stopped, anchor))
    return drawn


def _title(picks: Picks, row: int) -> str:
    reason = f", {picks.reasons[row]}" if picks.reasons[row] else ""
    return f"{picks.ids[row]}: score {picks.scores[row]:.3f}{reason}; {_xyz(picks.points_zyx[row])}"


def _xyz(point_zyx: np.ndarray) -> str:
    return "x {2:.0f}, y {1:.0f}, z {0:.0f}".format(*point_zyx)
