"""Filament: lines such as microtubules, actin and fibres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import along_z
from aitom_cryosam.progress import Progress
from aitom_cryosam.targets.base import STRUCTURE, Structures, refuse_lengths
from aitom_cryosam.targets.fitting import centred, fitted
from aitom_cryosam.targets.growth import NOTHING_THERE, Grown, grown
from aitom_cryosam.targets.outliner import Outliner
from aitom_cryosam.targets.ridge_filters import RidgeShape, find_ridges
from aitom_cryosam.targets.ridges import Ridges, way_back
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
_RUN, _LEAVES = 4.0, 4.0  # unsure lengths: that say where an end runs, and before a face
_TURN = float(np.cos(np.radians(30)))  # of a filament in a gap
_PIECE = 60.0  # Å: what is shorter does not say where it runs
_CLICKED, _UNCLICKED = 500.0, 600.0  # Å: what is shorter may be two particles, or three
_SLENDER = 3.0  # diameters: nor is what is shorter a filament
_EVEN, _LONG = 0.45, 1200.0  # of a line's contrasts; Å, beyond which no particles are in a row


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
        refuse_lengths(spacing=self.spacing_angstrom, diameter=self.diameter_angstrom)

    def find(
        self,
        tomogram: Tomogram,
        prompts: Picks,
        *,
        outliner: Outliner | None = None,
        progress: Progress | None = None,
    ) -> Structures:
        """The clicked filaments, and those that look like them; see `StructureTarget.find`."""
        diameter = self.diameter_angstrom or estimated_diameter(tomogram, prompts)
        shape = line_shape(diameter)
        ridges, chance = find_ridges(tomogram, shape, progress=progress)
        reach = max(0.6 * diameter / tomogram.voxel_size, 3.0)
        cell = ridges.binning * tomogram.voxel_size  # Å
        found = grown(ridges, chance, prompts, reach, _PIECE / cell, outliner)
        found = replace(found, ridges=fitted(found.ridges, 1.0))
        lines, prompts = self._lines(found, diameter, tomogram)
        ridges, labels = _as_ridges(found.ridges, lines)
        return Structures(
            prompts=prompts,
            ridges=ridges,
            labels=labels,
            points=self._points(lines, tomogram),
            half_width_angstrom=diameter / 2,
        )

    def _lines(
        self, found: Grown, diameter: float, tomogram: Tomogram
    ) -> tuple[list[np.ndarray], Picks]:
        """Centre lines (m, 3), voxels, and the clicks, those on none of them rejected.

        The lines lie in the middle of what is Å wide, and reach up to the faces.
        """
        ridges, voxel_size = found.ridges, tomogram.voxel_size
        beside = max(0.75 * diameter / voxel_size, 1.5 * ridges.binning)
        radius = line_shape(diameter).radius_angstrom / voxel_size
        lines, clicked = [], np.zeros(len(found.prompts), bool)
        for line in centre_lines(found, _PIECE / voxel_size, beside):
            on = cKDTree(line).query(found.prompts.points_zyx)[0] <= beside
            on &= found.prompts.kept
            extent = _extent(line) * voxel_size
            if extent < max(_CLICKED if on.any() else _UNCLICKED, _SLENDER * diameter):
                continue
            if extent < _LONG and _evenness(line, ridges) < _EVEN:
                continue
            clicked |= on
            line = resampled(line, ridges.binning)[0]  # a way may leap from cell to cell
            line = to_faces(line, tomogram.shape, _LENGTH_ANGSTROM / voxel_size)
            line = centred(resampled(line, ridges.binning)[0], ridges, radius)
            lines.append(line[((line >= 0) & (line <= np.array(tomogram.shape) - 1)).all(1)])
        prompts = found.prompts.reject(found.prompts.kept & ~clicked, NOTHING_THERE)
        return (_distinct(lines, beside) if clicked.any() else []), prompts

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
    """Å: the diameter whose ridges the clicks are on most clearly."""
    clearest = []
    for diameter in DIAMETERS:
        ridges, chance = find_ridges(tomogram, line_shape(diameter))
        near = cKDTree(ridges.points_zyx).query_ball_point(
            prompts.points_zyx, max(0.5 * diameter / tomogram.voxel_size, 3.0)
        )
        best = [ridges.responses[one].max(initial=0) for one in near]
        clearest.append(np.median(best) / np.quantile(chance.responses, 0.99))
    return DIAMETERS[int(np.argmax(clearest))]


def centre_lines(found: Grown, shortest: float, reach: float) -> list[np.ndarray]:
    """Ordered points (m, 3), voxels, of each filament; some are still too short to be one.

    The longest of the shortest ways through a structure is its filament; what is left of it
    beside that, as where filaments cross, is looked at again.

    Args:
        found: structures of lines.
        shortest: voxels, of a piece that is joined to others.
        reach: voxels, beside a filament, that belong to it.
    """
    ridges, lines = found.ridges, []
    points = ridges.points_zyx
    for number in range(1, int(found.labels.max(initial=0)) + 1):
        left = _connected(ridges, np.flatnonzero(found.labels == number))
        while left:
            rows = left.pop()
            line = points[rows[_longest_way(ridges, rows)]]
            if _extent(line) < shortest:
                continue
            lines.append(line)
            far = cKDTree(line).query(points[rows])[0] > reach
            left += _connected(ridges, rows[far])
    return _joined(lines, _GAP * ridges.binning)


def _connected(ridges: Ridges, rows: np.ndarray) -> list[np.ndarray]:
    """Points that are connected, together."""
    count, piece = connected_components(ridges.graph(rows), directed=False)
    return [rows[piece == number] for number in range(count)]


def _joined(lines: list[np.ndarray], gap: float) -> list[np.ndarray]:
    """Lines whose ends lie no further apart than a gap and look at each other, made one.

    The nearest ends are joined first; then all are looked at again, as a short piece alone does not
    say where it runs.
    """
    lines = list(lines)
    while len(lines) > 1:
        ends = np.concatenate([line[[0, -1]] for line in lines])  # (2n, 3)
        near = cKDTree(ends).query_pairs(gap, output_type="ndarray")  # (pairs, 2), ascending
        lengths = np.linalg.norm(ends[near[:, 0]] - ends[near[:, 1]], axis=1)
        for i, j in near[np.argsort(lengths, kind="stable")].tolist():
            one = lines[i // 2] if i % 2 else lines[i // 2][::-1]
            other = lines[j // 2][::-1] if j % 2 else lines[j // 2]
            if i // 2 != j // 2 and _straight(one[-_END:], other[:_END]):
                lines[i // 2] = np.concatenate([one, other])
                del lines[j // 2]
                break
        else:
            break
    return lines


def _straight(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the end of a line, the step from it and the start of the next run the same way.

    The step is seen together with the ends: alone, a short one may point anywhere.
    """
    ways = np.stack([before[-1] - before[0], after[-1] - before[0], after[-1] - after[0]])
    ways = ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-9)
    return bool(min(ways[0] @ ways[1], ways[1] @ ways[2], ways[0] @ ways[2]) > _TURN)


def _extent(line: np.ndarray) -> float:
    """Voxels: how far a line gets from where it starts."""
    return float(np.linalg.norm(line - line[0], axis=1).max())


def _evenness(line: np.ndarray, ridges: Ridges) -> float:
    """Contrast of the weakest tenth of a line as a share of that of its strongest quarter.

    A row of particles has gaps, which the filters see as weak places.
    """
    contrasts = ridges.contrasts[cKDTree(ridges.points_zyx).query(line)[1]]
    weak, strong = np.quantile(contrasts, (0.1, 0.75))
    return float(weak / strong)


def _distinct(lines: list[np.ndarray], beside: float) -> list[np.ndarray]:
    """The lines without those that run along a longer one."""
    kept: list[int] = []
    for number in sorted(range(len(lines)), key=lambda i: -len(lines[i])):
        line = lines[number]
        longer = [cKDTree(lines[i]).query(line)[0] <= beside for i in kept]
        if len(line) > 1 and not (longer and np.any(longer, axis=0).mean() > 0.5):
            kept.append(number)
    return [lines[number] for number in sorted(kept)]


def to_faces(line: np.ndarray, shape: Sequence[int], unsure: float) -> np.ndarray:
    """A line whose ends that lie before a face of the tomogram are continued straight to it.

    The filters see the tomogram mirrored at its faces: near one, a line that leaves bends or ends.

    Args:
        line: (m, 3) voxels, ordered.
        shape: (D, H, W) of the tomogram.
        unsure: voxels, of an end that is not trusted.

    Returns:
        (k, 3) voxels.
    """
    last = np.array(shape) - 1
    for _ in range(2):  # one end, then the other
        line = line[::-1]
        behind = np.linalg.norm(line - line[0], axis=1)
        sure = int(np.argmax(behind > unsure))
        run = line[sure:][behind[sure:] < _RUN * unsure]
        if not sure or len(run) < _END:
            continue
        middle = run.mean(axis=0)
        along = np.linalg.svd(run - middle, full_matrices=False)[2][0]
        along = along * np.sign((run[0] - run[-1]) @ along)
        start = middle + ((run[0] - middle) @ along) * along
        with np.errstate(divide="ignore"):
            steps = np.maximum(-start / along, (last - start) / along)
        reach = steps[np.isfinite(steps)].min()
        if 0 < reach <= _LEAVES * unsure:
            ahead = start + np.arange(1, int(reach) + 1)[::-1, None] * along
            line = np.concatenate([ahead, line[sure:]])
    return line


def _longest_way(ridges: Ridges, chosen: np.ndarray) -> np.ndarray:
    """Rows of `chosen`: the way between the two ends that are farthest apart."""
    steps = ridges.graph(chosen)
    far = 0
    for _ in range(3):  # from any point to the farthest, and on from there
        start = far
        lengths, before = dijkstra(steps, indices=start, return_predecessors=True)
        far = int(np.argmax(np.where(np.isfinite(lengths), lengths, -1)))
    return np.array(way_back(before, far, start))


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
