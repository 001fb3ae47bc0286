"""Alignment: turn and shift of every particle that fit a reference best, under the missing wedge.

The score is the normalised correlation of turned reference and particle over those frequencies
that the particle's tilt series, and the reference, have measured (constrained correlation). All
of it is done on the coefficients of a ball in Fourier space: turns read the reference's spectrum,
and all shifts of all particles against all turns are one product of matrices.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.rotations import all_rotations, ball_lattice, nearby_rotations
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.progress import Steps

if TYPE_CHECKING:
    import torch

_SAMPLES = 4_000_000  # coefficients read at once
_SOME = 4  # turns that say what a mask alone takes from a correlation: in all much the same


class Aligner:
    """Aligns the particles of one tilt series.

    Args:
        ball: frequencies that count.
        spectra: (n, k) complex64, `ball.of` the particles' masked boxes.
        wedge: of the tilt series.
        weights: (k,) of each frequency, as 1 / noise amplitude; for particles and reference.
        device: of torch.
    """

    def __init__(
        self,
        ball: Ball,
        spectra: np.ndarray,
        wedge: MissingWedge,
        *,
        weights: np.ndarray | None = None,
        device: str = "cpu",
    ) -> None:
        import torch

        self.ball = ball
        self._device = device
        scale = np.ones(len(ball.points_xyz)) if weights is None else weights
        self._weights = torch.from_numpy(scale.astype(np.float32)).to(device)
        self._wedge = torch.from_numpy(wedge.weights(ball.points_xyz)).to(device)
        self._spectra = torch.from_numpy(spectra).to(device) * self._weights * self._wedge

    def __len__(self) -> int:
        return len(self._spectra)

    def search(
        self,
        reference: Reference,
        *,
        step: float,
        max_shift: float,
        keep: int = 1,
        steps: Steps | None = None,
    ) -> list[Poses]:
        """The best of all turns on a grid, and of all shifts on a lattice around the origin.

        Args:
            reference: of the particles' box size.
            step: degrees between neighbouring turns.
            max_shift: voxels.
            keep: how many different turns of each particle to return.
            steps: told of every particle.

        Returns:
            `keep` poses of all particles, the best first.
        """
        import torch

        rotations = all_rotations(step)
        read = Readable(reference.box[None], self._device)
        templates, norms, seen = self._turned(read, reference, rotations)
        flat = torch.cat([templates.real, templates.imag], dim=1)
        lattice = ball_lattice(self.ball.size / (4 * self.ball.radius), max_shift)
        phases = torch.from_numpy(self.ball.shifts(lattice)).to(self._device)
        matrices = rotations.as_matrix()
        found: list[list[tuple[int, np.ndarray, float]]] = []
        for spectrum in self._spectra:
            moved = spectrum * phases  # (s, k)
            products = flat @ torch.cat([moved.real, moved.imag], dim=1).T  # (r, s)
            best, where = products.max(dim=1)
            scores = (best / (norms * self._norm(spectrum, seen))).cpu().numpy()
            chosen = _apart(scores, matrices, keep, step)
            where_np = where.cpu().numpy()
            found.append([(r, lattice[where_np[r]], float(scores[r])) for r in chosen])
            if steps:
                steps.add(1)
        return [
            Poses(
                rotations[[row[j][0] for row in found]],
                np.array([row[j][1] for row in found]),
                np.array([row[j][2] for row in found]),
            )
            for j in range(keep)
        ]

    def refine(
        self,
        reference: Reference,
        poses: Poses,
        *,
        step: float,
        shift_step: float = 0.5,
        max_shift: float = math.inf,
        rounds: int = 1,
    ) -> Poses:
        """Better poses nearby: neighbours one step away, `rounds` times, each with half the step.

        Args:
            reference: as of `search`.
            poses: of all particles.
            step: degrees, of the first round.
            shift_step: voxels, of the first round.
            max_shift: voxels, from the boxes' origins.
            rounds: number of rounds.
        """
        read = Readable(reference.box[None], self._device)
        for _ in range(rounds):
            poses = self._better(read, reference, poses, step, shift_step, max_shift)
            step, shift_step = step / 2, shift_step / 2
        return poses

    def score(self, reference: Reference, poses: Poses) -> np.ndarray:
        """(n,) correlation of each particle as it lies."""
        read = Readable(reference.box[None], self._device)
        return self._better(read, reference, poses, 0.0, 0.0, math.inf).scores

    def expected(
        self, reference: Reference, poses: Poses, mask: np.ndarray, known: np.ndarray
    ) -> np.ndarray:
        """(n,) correlation that the reference itself would have, were it cut as the boxes are.

        Args:
            reference: as of `search`.
            poses: of n particles of this tilt series.
            mask: (size, size, size) of the particles' boxes.
            known: (n, size, size, size) bool, what lies in the tomogram.
        """
        if not len(poses):
            return np.zeros(0)
        read = Readable(reference.box[None], self._device)
        templates = self._turned(read, reference, poses.rotations)[0].cpu().numpy()
        weights = self._weights.cpu().numpy()
        scale = weights * self._wedge.cpu().numpy()
        result, whole = np.empty(len(poses)), []
        for i, template in enumerate(templates):
            placed = template * self.ball.shifts(-poses.shifts_xyz[i])  # (k,)
            box = self.ball.box(placed / weights)
            if i < _SOME:
                whole.append(_cosine(placed, self.ball.of((box * mask)[None])[0] * scale))
            box -= box.mean(where=known[i])  # as boxes are cut from the tomogram
            box *= mask * known[i]
            result[i] = _cosine(placed, self.ball.of(box[None])[0] * scale)
        return np.clip(result / np.mean(whole), 0, 1)

    def _better(
        self,
        read: Readable,
        reference: Reference,
        poses: Poses,
        step: float,
        shift_step: float,
        max_shift: float,
    ) -> Poses:
        import torch

        near = nearby_rotations(step, 1.8 * step) if step else Rotation.identity(1)
        lattice = ball_lattice(shift_step, 1.8 * shift_step) if shift_step else np.zeros((1, 3))
        phases = torch.from_numpy(self.ball.shifts(lattice)).to(self._device)
        k = len(self.ball.points_xyz)
        batch = max(1, _SAMPLES // (k * len(near)))
        quaternions, shifts, scores = [], [], []
        for first in range(0, len(poses), batch):
            rows = slice(first, first + batch)
            here, origins = poses.rotations[rows], poses.shifts_xyz[rows]
            n = len(origins)
            turned = Rotation.concatenate([near * one for one in here])  # (n r)
            templates, norms, seen = self._turned(read, reference, turned)
            spectra = self._spectra[rows]
            moved = (spectra * self._phase(origins))[:, None] * phases  # (n, s, k)
            flat = torch.cat([templates.real, templates.imag], dim=1).reshape(n, len(near), -1)
            products = flat @ torch.cat([moved.real, moved.imag], dim=2).transpose(1, 2)
            each = norms.reshape(n, -1) * torch.stack(
                [
                    self._norm(one, part)
                    for one, part in zip(
                        spectra,
                        [None] * n if seen is None else seen.reshape(n, len(near), -1),
                        strict=True,
                    )
                ]
            ).reshape(n, -1)
            values = (products / each[:, :, None]).cpu().numpy()
            places = origins[:, None] + lattice
            values[np.broadcast_to(_too_far(places, max_shift)[:, None], values.shape)] = -np.inf
            best = values.reshape(n, -1).argmax(axis=1)
            turn, shift = np.unravel_index(best, values.shape[1:])
            quaternions.append(turned[np.arange(n) * len(near) + turn].as_quat())
            shifts.append(places[np.arange(n), shift])
            scores.append(values[np.arange(n), turn, shift])
        return Poses(
            Rotation.from_quat(np.concatenate(quaternions)),
            np.concatenate(shifts),
            np.concatenate(scores).astype(np.float64),
        )

    def _turned(
        self, read: Readable, reference: Reference, rotations: Rotation
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Turned references (r, k), their lengths (r,), and what each knows (r, k) or None."""
        import torch

        matrices = rotations.as_matrix().astype(np.float32)
        points = self.ball.points_xyz.astype(np.float32) @ matrices  # R^-1 k, (r, k, 3)
        frequencies = torch.from_numpy(points.reshape(1, -1, 3)).to(self._device)
        templates = read.at(frequencies).reshape(len(matrices), -1)
        templates = templates * (self._weights * self._wedge)
        coverage = reference.coverage(points)
        power = templates.abs() ** 2
        if coverage is None:
            return templates, power.sum(dim=1).clamp_min(1e-30).sqrt(), None
        seen = torch.from_numpy(coverage).to(self._device)
        return templates * seen, (power * seen).sum(dim=1).clamp_min(1e-30).sqrt(), seen

    def _norm(self, spectrum: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
        """Length of a particle's spectrum over what the reference knows, (r,) or ()."""
        power = spectrum.abs() ** 2
        total = power.sum() if seen is None else seen @ power
        return total.clamp_min(1e-30).sqrt()

    def _phase(self, shifts_xyz: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.ball.shifts(shifts_xyz)).to(self._device)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    product = float((one * other.conj()).real.sum())
    return product / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-20)


def _too_far(shifts_xyz: np.ndarray, max_shift: float) -> np.ndarray:
    return np.asarray(np.linalg.norm(shifts_xyz, axis=-1) > max_shift)


def _apart(scores: np.ndarray, matrices: np.ndarray, keep: int, step: float) -> list[int]:
    """The best few turns that are no neighbours of each other."""
    order = np.argsort(-scores, kind="stable")
    if keep == 1:
        return [int(order[0])]
    least_trace = 1 + 2 * math.cos(math.radians(1.7 * step))
    chosen: list[int] = []
    for r in order:
        traces = [float((matrices[r] * matrices[c]).sum()) for c in chosen]
        if all(trace < least_trace for trace in traces):
            chosen.append(int(r))
        if len(chosen) == keep:
            break
    return chosen + [chosen[0]] * (keep - len(chosen))
