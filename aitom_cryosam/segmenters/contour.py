"""ContourSegmenter: the closed contour around a point that encloses most of a particle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aitom_cryosam.filters import gaussians
from aitom_cryosam.scratch import Scratch
from aitom_cryosam.segmenters.base import Segmentation, on_plane, shifted
from aitom_cryosam.segmenters.codec import ArrayCodec
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.threads import even_parts, mapped

_ANGLES = 32
_STEPS = 24  # radii along each angle
_RIM = 5  # steps outside a contour that it is compared with
_AT_ONCE = 16, 256  # points segmented together: what is worth a thread, what bounds the memory
_PIXELS_AT_ONCE = 1 << 19  # likewise, of their windows where these are large
_CONSTANT = 1e-5  # neighbours in a smoothed plane that differ by less differ by rounding
_PLANES = 8  # smoothed in one call
# Lengths in diameters of the particle.
_BLUR = 0.1  # standard deviation of the Gaussian that smooths a plane
_WINDOW = 0.75  # half the side of the window around a point; the surroundings fill it
_CORE = 0.45  # radius in which the contrast of a first mask is measured
_CLICKED = 0.32  # the least radius around a click: it is on a particle, if into its hole
_SMALLEST = 0.1  # a later contour of a smaller mean radius is no mask
# Evidence.
_LEVELS = (0.4, 0.5, 0.6)  # of the candidates, in contrasts of the particle
_BACKGROUND = 0.4  # quantile of the surroundings: neighbours are among them
_FAINTEST = 1.0  # contrast, standard deviations of a plane, below which noise would be enclosed
_CLIP = 1.5  # contrasts, so that gold or a membrane does not outweigh the particle
_MEMORY = 0.5  # weight of the planes before
_WIDE = 1.0  # cost of a pixel per radius beyond 0.8 radii


class ContourSegmenter:
    """A plane segmenter without weights.

    The evidence that a pixel is particle is its height above the background around the
    particle, in units of the particle's contrast. Of all contours that are star-shaped around
    the point, the one that encloses the most evidence above a level is found by dynamic
    programming over the angle. Such a sum is robust against noise, crosses the hole of
    a hollow particle and stops in the gap before a neighbour. Three levels give three
    candidates; the one that stands out most from its rim is chosen, if any does.

    The logits are the evidence, averaged over the planes that a walk has passed with falling
    weight: noise falls from plane to plane, and a particle that has ended is soon forgotten.
    Inside a mask they are not negative, so that a hole, once crossed, does not come back.

    Args:
        diameter_voxels: of the particle. All lengths follow from it, and no contour is wider
            than 1.3 diameters.
    """

    def __init__(self, diameter_voxels: float) -> None:
        self._blur = _BLUR * diameter_voxels
        self._apart = max(1, int(self._blur))  # pixels of a smoothed plane that tell its deviation
        self._smallest = _SMALLEST * diameter_voxels
        self._step = PARTICLE.reach * diameter_voxels / _STEPS
        self._clicked = math.floor(_CLICKED * diameter_voxels / self._step)
        self._half = math.ceil(_WINDOW * diameter_voxels) + 1
        radii = (np.arange(_STEPS) + 0.5) * self._step
        self._grid = _PolarGrid(self._half, radii)
        self._areas = radii.astype(np.float32)  # of the cells of a ray, but for a factor
        self._costs = (_WIDE * np.maximum(2 * radii / diameter_voxels - 0.8, 0)).astype(np.float32)
        self._core = self._grid.distance <= _CORE * diameter_voxels
        beyond = self._grid.distance > PARTICLE.surroundings * diameter_voxels
        nearest = self._grid.distance[beyond].min()  # around 2.5 voxels, none in the window
        self._around = beyond & (self._grid.distance <= max(_WINDOW * diameter_voxels, nearest))

    @property
    def codec(self) -> ArrayCodec:
        """Smoothing takes no longer than reading what it gives."""
        return ArrayCodec(self._embedding_bytes)

    @property
    def held_bytes(self) -> float:
        """Enough for hundreds of planes."""
        return 256e6

    @property
    def concurrent(self) -> bool:
        """Nothing is shared between calls."""
        return True

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """A few, for as many threads."""
        return _PLANES

    def embed(self, planes: np.ndarray) -> list[np.ndarray]:
        """Smooth planes at the particle's scale.

        Args:
            planes: (b, h, w) float32, protein positive.

        Returns:
            b arrays (h + 2m, w + 2m) float32 in standard deviations of the smoothed plane where
            it is not constant (a margin, a filled corner), with m pixels repeated around it.
        """
        return mapped(self._embed, list(planes))

    def segment(
        self,
        embeddings: Sequence[np.ndarray],
        rows: np.ndarray,
        points_yx: np.ndarray,
        previous: Segmentation | None,
    ) -> Segmentation:
        """Segment the particles at points on planes.

        Args:
            embeddings: (h, w) each, what `embed` returned, of planes of one shape.
            rows: (n,) the embedding that each point is on.
            points_yx: (n, 2) pixels on its plane.
            previous: the n masks of the plane before, or None.

        Returns:
            n masks, empty where there is no particle. Confidence is highest at the middle of a
            mask; where that is not inside, the point stays.
        """
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        least, most = _AT_ONCE
        most = min(most, max(2 * least, _PIXELS_AT_ONCE // self._grid.side**2))
        parts = even_parts(len(points), least, most)
        if len(parts) == 1:
            return self._segment(embeddings, rows, points, previous)

        def work(part: slice) -> Segmentation:
            before = None if previous is None else previous.take(part)
            return self._segment(embeddings, rows[part], points[part], before)

        return Segmentation.concatenate(mapped(work, parts))

    def _embedding_bytes(self, plane_shape: tuple[int, int]) -> int:
        height, width = plane_shape
        return 4 * (height + 2 * self._half) * (width + 2 * self._half)

    def _embed(self, plane: np.ndarray) -> np.ndarray:
        (smooth,) = gaussians(self._blur, beyond="edge").both(plane, Scratch())
        here, beside = (smooth[:: self._apart, i :: self._apart] for i in (0, 1))
        here = here[:, : beside.shape[1]]
        varies = np.abs(beside - here) > _CONSTANT
        values = here.ravel() if varies.all() else here[varies]
        deviation = _deviation(values)
        if deviation > 0:  # once more without the tails, which gold and membranes make
            deviation = _deviation(np.clip(values, -3 * deviation, 3 * deviation))
        return _framed(smooth / np.float32(deviation if deviation > 1e-6 else np.inf), self._half)

    def _segment(
        self,
        embeddings: Sequence[np.ndarray],
        rows: np.ndarray,
        points: np.ndarray,
        previous: Segmentation | None,
    ) -> Segmentation:
        side = self._grid.side
        shape = np.array(embeddings[0].shape) - 2 * self._half
        pixels = np.clip(np.floor(points + 0.5).astype(np.int64), 0, shape - 1)
        offsets = pixels - self._half
        windows = np.empty((len(points), side, side), np.float32)
        for window, row, (y, x) in zip(windows, rows, pixels, strict=True):
            window[:] = embeddings[row][y : y + side, x : x + side]
        evidence, contrast = self._evidence(windows, offsets, previous)

        least = self._clicked if previous is None else 0
        edges, rims, levels = self._best_candidate(self._grid.rays(evidence), least)
        masks = self._grid.inside(edges * self._step) & on_plane(offsets, side, shape)
        masks[(rims <= 0) | (edges.mean(axis=1) * self._step < self._smallest)] = False
        scores = np.tanh(contrast * rims / 2) * masks.any(axis=(1, 2))
        logits = evidence - levels[:, None, None]
        return Segmentation(offsets, masks, logits, scores, _middles(masks, offsets, points))

    def _evidence(
        self, windows: np.ndarray, offsets: np.ndarray, previous: Segmentation | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evidence (n, side, side), 1 at the particle's mean; and its contrast (n,)."""
        background = np.quantile(windows[:, self._around], _BACKGROUND, axis=1)
        background = background.astype(np.float32)
        if previous is None:
            # In rows: else a sum's rounding depends on whether there are other windows.
            inside = np.ascontiguousarray(windows[:, self._core]).mean(axis=1)
        else:
            masks = shifted(previous.masks, previous.offsets_yx, offsets, False)
            sizes = np.count_nonzero(masks, axis=(1, 2)).astype(np.float32)
            inside = (windows * masks).sum(axis=(1, 2)) / np.maximum(sizes, 1)
        contrast = np.maximum(inside - background, np.float32(_FAINTEST))
        evidence = (windows - background[:, None, None]) / contrast[:, None, None]
        middle = _LEVELS[1]
        evidence = np.clip(evidence, middle - _CLIP, middle + _CLIP)
        if previous is not None:
            # Logits are 0 at the level that was chosen; so the level is remembered, too.
            before = shifted(previous.logits, previous.offsets_yx, offsets, -_CLIP)
            before = np.where(masks, np.maximum(before, 0), before) + middle
            evidence = _MEMORY * before + (1 - _MEMORY) * evidence
        return evidence, contrast

    def _best_candidate(
        self, rays: np.ndarray, least: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The contour that stands out most from its rim.

        Args:
            rays: (n, angles, steps) evidence.
            least: steps that every contour encloses.

        Returns:
            (n, angles) steps inside it, (n,) its height above its rim, (n,) its level.
        """
        levels = np.array(_LEVELS, np.float32)
        across = np.ascontiguousarray(rays.transpose(1, 2, 0))[:, :, None]  # (angles, steps, 1, n)
        totals = np.zeros((_ANGLES, _STEPS + 1, len(levels), len(rays)), np.float32)
        gains = np.subtract(across, levels[:, None], out=totals[:, 1:])
        gains -= self._costs[:, None, None]
        gains *= self._areas[:, None, None]
        edges = _closed_contours(totals.reshape(_ANGLES, _STEPS + 1, -1), least)
        edges = edges.reshape(_ANGLES, len(levels), len(rays)).transpose(1, 2, 0)
        rims = self._rims(rays, edges)
        best = rims.argmax(axis=0)
        rows = np.arange(len(rays))
        return edges[best, rows], rims[best, rows], levels[best]

    def _rims(self, rays: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """(levels, n) mean evidence inside contours (levels, n, angles) less that just outside."""
        outer = np.minimum(edges + _RIM, _STEPS)
        areas = np.insert(np.cumsum(self._areas), 0, 0)
        totals = np.zeros((*rays.shape[:2], _STEPS + 1), np.float32)
        np.cumsum(rays * self._areas, axis=2, out=totals[:, :, 1:])
        rows, angles = np.arange(len(rays))[:, None], np.arange(_ANGLES)
        inside, both = totals[rows, angles, edges], totals[rows, angles, outer]
        means = []
        for total, area in (
            (inside, areas[edges]),
            (both - inside, areas[outer] - areas[edges]),
        ):
            means.append(total.sum(axis=2) / np.maximum(area.sum(axis=2), self._areas[0]))
        return means[0] - means[1]


class _PolarGrid:
    """A window seen from its middle pixel: angles and radii.

    Args:
        half: pixels on each side of the middle.
        radii: (steps,) pixels, all less than `half`.
    """

    def __init__(self, half: int, radii: np.ndarray) -> None:
        self.side = 2 * half + 1
        axis = np.arange(-half, half + 1)
        self.distance = np.hypot(axis[:, None], axis).astype(np.float32)
        turns = np.arctan2(axis[:, None], axis) * (_ANGLES / (2 * np.pi)) % _ANGLES
        self._angle = np.floor(turns).astype(np.int64) % _ANGLES
        self._next = (self._angle + 1) % _ANGLES
        self._fraction = (turns - np.floor(turns)).astype(np.float32)

        angles = np.arange(_ANGLES)[:, None] * (2 * np.pi / _ANGLES)
        rows, columns = half + np.sin(angles) * radii, half + np.cos(angles) * radii
        top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
        down, right = rows - top, columns - left
        # For each of the four pixels around a sample: its index in the window, its weight.
        self._corners = [
            (
                ((top + y) * self.side + left + x).ravel(),
                (np.abs(1 - y - down) * np.abs(1 - x - right)).ravel().astype(np.float32),
            )
            for y in (0, 1)
            for x in (0, 1)
        ]

    def rays(self, windows: np.ndarray) -> np.ndarray:
        """(n, side, side) windows to (n, angles, steps), bilinear."""
        flat = windows.reshape(len(windows), self.side**2)
        values = sum(flat.take(index, axis=1) * weight for index, weight in self._corners)
        return np.asarray(values).reshape(len(windows), _ANGLES, _STEPS)

    def inside(self, radii: np.ndarray) -> np.ndarray:
        """(n, side, side) bool: the pixels inside contours, radii (n, angles) in pixels."""
        radii = radii.astype(np.float32)
        near, far = radii.take(self._angle, axis=1), radii.take(self._next, axis=1)
        return near + (far - near) * self._fraction > self.distance


def _closed_contours(totals: np.ndarray, least: int) -> np.ndarray:
    """The star-shaped contours that enclose the largest sum.

    From one angle to the next a contour moves by one step at most. Two turns are made, of which
    the middle one is kept: it hardly knows where the path began, so its ends meet.

    Args:
        totals: (angles, 1 + steps, n) 0, and the gains of the cells, which become their sums; n
            last, so that each operation is one long run.
        least: steps that every contour encloses.

    Returns:
        (angles, n) int64, the number of cells inside along each angle, least to steps.
    """
    angles, cells, n = totals.shape
    for row in range(1, cells):
        totals[:, row] += totals[:, row - 1]
    totals[:, :least] = -np.inf
    padded = np.full((cells + 2, n), -np.inf, np.float32)
    best, nearer, farther = padded[1:-1], padded[:-2], padded[2:]
    best[:] = totals[0]
    top = np.empty((cells, n), np.float32)
    stays, shrinks = np.empty((2, 2 * angles, cells, n), bool)
    for turn in range(1, 2 * angles):
        np.maximum(nearer, farther, out=top)
        np.greater_equal(best, top, out=stays[turn])
        np.greater_equal(nearer, farther, out=shrinks[turn])
        np.maximum(top, best, out=top)
        np.add(top, totals[turn % angles], out=best)
    contour = np.zeros((angles, n), np.int64)
    each = np.arange(n)
    edge = best.argmax(axis=0)
    for turn in range(2 * angles - 1, angles // 2 - 1, -1):
        contour[turn % angles] = edge  # the earlier of two visits stays
        cell = edge * n + each
        moves = np.where(shrinks[turn].take(cell), -1, 1)
        edge = np.where(stays[turn].take(cell), edge, edge + moves)
    return contour


def _framed(plane: np.ndarray, width: int) -> np.ndarray:
    """A plane (h, w) with its edge repeated around it, as np.pad does in twice the time."""
    height, length = plane.shape
    framed = np.empty((height + 2 * width, length + 2 * width), np.float32)
    rows = framed[width : width + height]
    rows[:, width : width + length] = plane
    rows[:, :width] = plane[:, :1]
    rows[:, width + length :] = plane[:, -1:]
    framed[:width] = rows[0]
    framed[width + height :] = rows[-1]
    return framed


def _deviation(values: np.ndarray) -> float:
    """Standard deviation of values (n,); 0 of none."""
    if not values.size:
        return 0.0
    values = values - values.mean()
    return math.sqrt(float(values @ values) / values.size)


def _middles(masks: np.ndarray, offsets: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 2) plane pixels: the centroid of each mask if it is inside, else the point."""
    line = np.arange(masks.shape[1])
    area = np.maximum(np.count_nonzero(masks, axis=(1, 2)), 1)
    sums = [(np.count_nonzero(masks, axis=axis) * line).sum(axis=1) for axis in (2, 1)]
    middle = np.stack(sums, axis=1) / area[:, None]
    row, column = np.floor(middle + 0.5).astype(np.int64).T
    inside = masks[np.arange(len(masks)), row, column]
    return np.where(inside[:, None], middle + offsets, points)
