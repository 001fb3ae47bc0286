"""Filament: lines such as microtubules, actin and fibres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import along_z
from aitom_cryosam.progress import Progress
from aitom_cryosam.targets.base import STRUCTURE, Structures
from aitom_cryosam.targets.fitting import fitted
from aitom_cryosam.targets.growth import Grown, grown
from aitom_cryosam.targets.ridges import Ridges, RidgeShape, find_ridges
from aitom_cryosam.tomogram import Tomogram

TUBE = "rlnHelicalTubeID"
TRACK = "rlnHelicalTrackLengthAngst"
DIAMETERS = (70.0, 110.0, 170.0, 250.0)
"""Å, of which the one that the clicks show best is taken where none is given."""
_WALL_ANGSTROM = 25.0  # sigma of the wall of a tube, or of a thin fibre
_LENGTH_ANGSTROM = 100.0  # sigma along
_SMOOTH = 2.0  # cells: sigma of the centre line's smoothing
_GAP = 8.0  # cells: between the ends of two pieces of one filament
_END = 8  # points at the end of a piece that say where it runs
_TURN = float(np.cos(np.radians(30)))  # of a filament in a gap
_SHORTEST = 2.0  # diameters: what is shorter is no filament


@dataclass(frozen=True, kw_only=True)
class Filament:
    """Filaments of one width.

    Attributes:
        spacing_angstrom: Å, between neighbouring points on a filament.
        diameter_angstrom: Å; None to estimate it from the clicks.

    Raises:
        InputError: a length is not above 0.
    """

    spacing_angstrom: float = 82.0
    diameter_angstrom: float | None = None
    name = "filament"

    def __post_init__(self) -> None:
        for name in ("spacing", "diameter"):
            value = getattr(self, f"{name}_angstrom")
            if not (value is None or 0 < value < np.inf):
                raise InputError(f"Expected {name} as a length above 0 Å, got {value:g}.")

    def find(
        self, tomogram: Tomogram, prompts: Picks, *, progress: Progress | None = None
    ) -> Structures:
        """The clicked filaments, and those that look like them; see `StructureTarget.find`."""
        diameter = self.diameter_angstrom or estimated_diameter(tomogram, prompts)
        shape = line_shape(diameter)
        ridges, chance = find_ridges(tomogram, shape, progress=progress)
        reach = max(0.6 * diameter / tomogram.voxel_size, 3.0)
        found = grown(ridges, chance, prompts, reach)
        found = replace(found, ridges=fitted(found.ridges, 1.0))
        lines = centre_lines(found, diameter / tomogram.voxel_size)
        ridges, labels = _as_ridges(found.ridges, lines)
        return Structures(
            prompts=found.prompts,
            ridges=ridges,
            labels=labels,
            points=self._points(lines, tomogram),
            half_width_angstrom=diameter / 2,
        )

    def _points(self, lines: list[np.ndarray], tomogram: Tomogram) -> Picks:
        """Points along each line at the spacing, in order, as helical columns of RELION."""
        places, directions, tubes, tracks = [], [], [], []
        for number, line in enumerate(lines, 1):
            at, along, track = resampled(line, self.spacing_angstrom / tomogram.voxel_size)
            places.append(at)
            directions.append(along)
            tubes += [str(number)] * len(at)
            tracks += [f"{value * tomogram.voxel_size:.2f}" for value in track]
        if not places:
            return Picks.from_points(np.zeros((0, 3)))
        points = np.clip(np.concatenate(places), 0, np.array(tomogram.shape) - 1)
        # Falling scores: files list the points in the order of their filaments.
        return replace(
            Picks.from_points(points, np.linspace(1, 0.5, len(points))),
            rotations=along_z(np.concatenate(directions)[:, ::-1]),
            extra={STRUCTURE: tuple(tubes), TUBE: tuple(tubes), TRACK: tuple(tracks)},
        )


def line_shape(diameter_angstrom: float) -> RidgeShape:
    """What a bit of a filament of a diameter looks like."""
    return RidgeShape(
        kind="line",
        sigma_angstrom=_WALL_ANGSTROM,
        length_angstrom=_LENGTH_ANGSTROM,
        directions=64,
        radius_angstrom=max(0.0, diameter_angstrom / 2 - _WALL_ANGSTROM),
        half_width_angstrom=diameter_angstrom / 2,
    )


def estimated_diameter(tomogram: Tomogram, prompts: Picks) -> float:
    """Å: the diameter whose ridges the clicks are on most clearly.

    Args:
        tomogram: that was clicked in.
        prompts: clicks.
    """
    clearest = []
    for diameter in DIAMETERS:
        ridges, chance = find_ridges(tomogram, line_shape(diameter))
        near = cKDTree(ridges.points_zyx).query_ball_point(
            prompts.points_zyx, max(0.5 * diameter / tomogram.voxel_size, 3.0)
        )
        best = [ridges.responses[one].max(initial=0) for one in near]
        clearest.append(np.median(best) / np.quantile(chance.responses, 0.99))
    return DIAMETERS[int(np.argmax(clearest))]


def centre_lines(found: Grown, diameter: float) -> list[np.ndarray]:
    """Ordered points (m, 3), voxels, of each filament, longest of each structure first.

    The longest of the shortest ways through a structure is its filament; what is left of it
    beside that, as where filaments cross, is looked at again.

    Args:
        found: structures of lines.
        diameter: voxels.
    """
    lines = []
    ridges = found.ridges
    points, reach = ridges.points_zyx, max(0.75 * diameter, 1.5 * ridges.binning)
    for number in range(1, int(found.labels.max(initial=0)) + 1):
        left = np.flatnonzero(found.labels == number)
        while len(left) > 1:
            path = left[_longest_way(ridges, left)]
            line = points[path]
            if np.linalg.norm(np.diff(line, axis=0), axis=1).sum() < _SHORTEST * diameter:
                break
            lines.append(line)
            far = cKDTree(line).query(points[left])[0] > reach
            left = left[far]
    return _joined(lines, _GAP * ridges.binning)


def _joined(lines: list[np.ndarray], gap: float) -> list[np.ndarray]:
    """Lines whose ends lie no further apart than a gap and look at each other, made one."""
    lines = list(lines)
    while True:
        best = None
        for j in range(len(lines)):
            for i in range(j):
                for one in (lines[i], lines[i][::-1]):
                    for other in (lines[j], lines[j][::-1]):
                        length = float(np.linalg.norm(other[0] - one[-1]))
                        if length <= (gap if best is None else best[0]) and _straight(
                            one[-_END:], other[:_END]
                        ):
                            best = length, i, j, np.concatenate([one, other])
        if best is None:
            return lines
        _, i, j, lines[i] = best
        del lines[j]


def _straight(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the end of a line, the step from it and the start of the next run the same way.

    The step is seen together with the ends: alone, a short one may point anywhere.
    """
    ways = np.stack([before[-1] - before[0], after[-1] - before[0], after[-1] - after[0]])
    ways = ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-9)
    return bool(min(ways[0] @ ways[1], ways[1] @ ways[2], ways[0] @ ways[2]) > _TURN)


def _longest_way(ridges: Ridges, chosen: np.ndarray) -> np.ndarray:
    """Rows of `chosen`: the way between the two ends that are farthest apart."""
    steps = ridges.neighbours[chosen][:, chosen]
    far = 0
    for _ in range(3):  # from any point to the farthest, and on from there
        lengths, before = dijkstra(steps, indices=far, return_predecessors=True)
        lengths[~np.isfinite(lengths)] = -1
        start, far = far, int(np.argmax(lengths))
    way = [start]  # predecessors lead back to where the last search began
    lengths, before = dijkstra(steps, indices=far, return_predecessors=True)
    while way[-1] != far and before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way)


def resampled(line: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points at even distances along a smoothed line.

    Args:
        line: (m, 3) voxels, ordered.
        spacing: voxels, between points.

    Returns:
        (k, 3) points, (k, 3) unit directions, and (k,) how far along each lies.
    """
    smooth = _smooth(line)
    track = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(smooth, axis=0), axis=1))])
    at = np.arange(0, max(track[-1], 1e-9), spacing)
    at += (track[-1] - at[-1]) / 2
    points = np.stack([np.interp(at, track, smooth[:, i]) for i in range(3)], axis=1)
    ahead, behind = np.minimum(at + spacing / 2, track[-1]), np.maximum(at - spacing / 2, 0)
    along = np.stack(
        [np.interp(ahead, track, axis) - np.interp(behind, track, axis) for axis in smooth.T],
        axis=1,
    )
    return points, along / np.linalg.norm(along, axis=1, keepdims=True), at


def _smooth(line: np.ndarray) -> np.ndarray:
    """Without the steps of the grid; both ends stay."""
    ends = 2 * line[0] - line[1:8][::-1], 2 * line[-1] - line[-8:-1][::-1]
    padded = np.concatenate([ends[0], line, ends[1]])
    smooth = gaussian_filter1d(padded, _SMOOTH, axis=0, mode="nearest")
    return smooth[len(ends[0]) : len(ends[0]) + len(line)]


def _as_ridges(ridges: Ridges, lines: list[np.ndarray]) -> tuple[Ridges, np.ndarray]:
    """The lines as points a cell apart, and the number of the line of each."""
    parts = [resampled(line, float(ridges.binning)) for line in lines]
    points = np.concatenate([part[0] for part in parts] or [np.zeros((0, 3))])
    directions = np.concatenate([part[1] for part in parts] or [np.zeros((0, 3))])
    labels = np.repeat(np.arange(1, len(parts) + 1), [len(part[0]) for part in parts])
    return ridges.at(points, directions), labels
