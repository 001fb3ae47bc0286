"""Averaging: particles of one or many tomograms, aligned to each other in two independent halves.

The first reference is the average of the clicked particles alone, so that what is averaged is
what was clicked. Each half then has its own reference, made of its own particles; what the two
have in common (their Fourier shell correlation) says how far each may be trusted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.alignment import Aligner
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.fsc import masked_shell_correlation
from aitom_cryosam.averaging.particles import Particles
from aitom_cryosam.averaging.poses import Poses, best_of, by_tomogram
from aitom_cryosam.averaging.reconstruction import Sum
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.shells import first_shell, noise_weights, search_shell, trust
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.averaging.subvolumes import EDGE, particle_ball, soft_ball
from aitom_cryosam.averaging.symmetry import (
    C1,
    CANDIDATES,
    LEAST,
    Symmetry,
    SymmetryFit,
    fitted,
    symmetrised,
)
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.remedies import Remedy

logger = logging.getLogger(__name__)

FEWEST = 10
"""Fewer picks than this make no average of two halves."""
HYPOTHESES = 3  # turns of each particle that a search hands on
FREE = 0.15  # of the diameter that a particle may be shifted
MASK_SHARE = 0.35  # of the instance masks that hold a voxel of the average's mask
MASK_VOLUMES = (0.3, 3.0)  # of the particle's ball: a mask beyond them is none
FINEST_SHELL = 5  # that halves must agree on before axes are looked for


def mass_centre(volume: np.ndarray) -> np.ndarray:
    """(3,) x, y, z voxels from voxel n // 2 of (n, n, n) to the middle of what is bright."""
    bright = np.clip(volume - 0.2 * volume.max(), 0, None)
    middle = np.array(ndimage.center_of_mass(bright)) - len(volume) // 2
    return np.asarray(middle[::-1])


class Averaging:
    """Aligns and averages; the state of one run.

    Args:
        particles: of each tomogram; boxes of one size and voxel size.
        voxel_size: Å, of the boxes.
        settings: how.
        progress: told of every particle.

    Raises:
        InputError: fewer than 10 particles.
    """

    def __init__(
        self,
        particles: Sequence[Particles],
        voxel_size: float,
        settings: AveragingSettings,
        *,
        progress: Progress | None = None,
    ) -> None:
        self.particles = list(particles)
        self.count = sum(len(one.subvolumes) for one in self.particles)
        if self.count < FEWEST:
            raise InputError(
                f"Expected at least {FEWEST} picks to average, got {self.count}", Remedy.MORE_PICKS
            )
        self.voxel_size = voxel_size
        self.settings = settings
        self.size = self.particles[0].subvolumes.boxes.shape[-1]
        self.diameter = settings.diameter / voxel_size
        self.coarsest = first_shell(self.size, voxel_size, settings.diameter)
        self.ball_mask = particle_ball(self.size, self.diameter)
        self.mask = self.ball_mask
        self.symmetry = C1  # until its axes are known
        self.full = Ball(self.size, self.size / 2 - 1)
        self._progress = progress
        # Best first, so that both halves have as many good ones.
        self.half = [np.arange(len(one.subvolumes)) % 2 for one in self.particles]
        self.masked = [one.subvolumes.boxes * self.ball_mask for one in self.particles]

    def run(self, first: Reference | None = None) -> Average:
        """All rounds, without symmetry.

        Args:
            first: reference; the average of the clicks if None.
        """
        reference = first or self.clicked()
        references = [reference, reference]
        shell = self.coarsest
        poses: list[Poses] = [Poses.unknown(len(one)) for one in self.masked]
        step = self.settings.step
        average = None
        for number in range(self.settings.iterations):
            last = number == self.settings.iterations - 1
            poses = self._aligned(references, poses, shell, step, number)
            self.mask = self._instance_mask(poses)
            average = self.averaged(poses, self._best(poses))
            logger.info(
                "Round %d of %d: %d particles, steps of %.0f°, %.0f Å used, halves agree to %s.",
                number + 1,
                self.settings.iterations,
                average.count,
                step,
                self.size * self.voxel_size / shell,
                average.resolution_text,
            )
            if not last:
                references = [average.half_reference(side) for side in (0, 1)]
                shell = average.agreed_shell
                step = finer(step)
        assert average is not None
        return average

    def symmetric(self, average: Average) -> Average:
        """In the frame of the symmetry's axes, aligned once more to what it makes; if there is one.

        Args:
            average: of `run`.

        Raises:
            InputError: the halves agree on too little to look for axes.
        """
        wanted = self.settings.symmetry
        if wanted is not None and len(wanted) == 1:
            return average
        centre = mass_centre(average.volume * average.mask)
        best = self._likeliest_symmetry(average, centre)
        if best is None:
            return average
        poses = [
            Poses(
                one.rotations * best.frame,
                one.shifts_xyz + one.rotations.apply(centre),
                one.scores,
            )
            for one in average.poses
        ]
        self.symmetry = best.symmetry
        self.mask = self.ball_mask
        members = average.members
        average = self.averaged(poses, members)
        references = [average.half_reference(side) for side in (0, 1)]
        shell = average.agreed_shell
        poses = self._aligned(references, poses, shell, self.settings.step, 1)
        return self.averaged(poses, members)

    def _likeliest_symmetry(self, average: Average, centre_xyz: np.ndarray) -> SymmetryFit | None:
        """The settings' with its axes, or the largest that the average shows; None for no other."""
        wanted = self.settings.symmetry
        halves = [self._moved(half, centre_xyz) * self.ball_mask for half in average.halves]
        if average.agreed_shell < FINEST_SHELL or not math.isfinite(average.resolution):
            raise InputError(
                f"The halves agree to {average.resolution_text}, which is too little to look "
                "for a symmetry",
                Remedy.NO_SYMMETRY,
            )
        names = CANDIDATES if wanted is None else (wanted.name,)
        found = [
            fitted((halves[0], halves[1]), Symmetry(name), average.agreed_shell, average.measured)
            for name in names
        ]
        for one in found:
            logger.info(
                "Symmetry %s: the halves correlate by %.2f when turned by it, %.2f as they are.",
                one.symmetry.name,
                one.correlation,
                one.unturned,
            )
        if wanted is None:
            found = [one for one in found if one.share >= LEAST]
            if not found:
                logger.info("Symmetry auto: none is kept; C1.")
                return None
        best = max(found, key=lambda one: len(one.symmetry))
        if best.share < LEAST:
            logger.warning(
                "The average contradicts the symmetry %s: its halves correlate by %.2f when "
                "turned by it, by %.2f as they are; %s.",
                best.symmetry.name,
                best.correlation,
                best.unturned,
                Remedy.ANY_SYMMETRY.said(),
            )
        return best

    def _moved(self, box: np.ndarray, shift_xyz: np.ndarray) -> np.ndarray:
        """What lies at a shift (x, y, z voxels) in the middle."""
        spectrum = self.full.of(box[None])[0]
        return self.full.box(spectrum * self.full.shifts(shift_xyz))

    def clicked(self) -> Reference:
        """The average of the clicks: the first, with the others aligned to it."""
        boxes = [one.clicks.boxes * self.ball_mask for one in self.particles]
        wedges = [one.wedge for one, some in zip(self.particles, boxes, strict=True) for _ in some]
        if not wedges:
            # Nothing was clicked (points of another program): the best pick stands in.
            boxes = [self.masked[0][:1]]
            wedges = [self.particles[0].wedge]
        every = np.concatenate(boxes)
        ball = Ball(self.size, self.coarsest)
        weights = self.weights(ball)
        rotations = [Rotation.identity()] * len(every)
        shifts = np.zeros((len(every), 3))
        reference = Reference(every[0], ((wedges[0], rotations[0]),))
        rounds = 0 if len(every) == 1 else 2
        for turn in range(rounds):
            total = Sum.empty(self.full)
            for i, (box, wedge) in enumerate(zip(every, wedges, strict=True)):
                aligner = self.aligner(ball, box[None], wedge, weights)
                pose = Poses.unknown(1)
                if i or turn:
                    pose = self._searched(aligner, aligner, reference, self.settings.step, None)
                    rotations[i], shifts[i] = pose.rotations[0], pose.shifts_xyz[0]
                total = total.add(box[None], pose, wedge, device=self.settings.device)
            seen = tuple(zip(wedges, rotations, strict=True))
            reference = Reference(total.average() * self.mask, seen)
        return reference

    def averaged(self, poses: list[Poses], members: list[np.ndarray] | None = None) -> Average:
        """The average of particles as they lie.

        Args:
            poses: of the particles of each tomogram.
            members: of each tomogram, (n,) bool, the particles that count; all if None.
        """
        sums = [Sum.empty(self.full), Sum.empty(self.full)]
        every = members or [np.ones(len(one), bool) for one in poses]
        for one, boxes, half, pose, chosen in zip(
            self.particles, self._open(), self.half, poses, every, strict=True
        ):
            for side in (0, 1):
                rows = np.flatnonzero((half == side) & chosen)
                sums[side] = sums[side].add(
                    boxes[rows], pose.take(rows), one.wedge, device=self.settings.device
                )
        halves = [symmetrised(one.average(), self.symmetry) for one in sums]
        fsc = masked_shell_correlation(halves[0], halves[1], self.mask, self.full)
        whole = symmetrised((sums[0] + sums[1]).average(), self.symmetry)
        weights = trust(fsc, self.coarsest)[self.full.shells]
        volume = self.full.box(self.full.of(whole[None])[0] * weights)
        return Average(
            volume,
            (halves[0], halves[1]),
            self.mask,
            fsc,
            self.voxel_size,
            poses,
            self.half,
            self.coarsest,
            self.symmetry,
            (sums[0].weights, sums[1].weights),
            members,
        )

    def _best(self, poses: list[Poses]) -> list[np.ndarray] | None:
        """Of each tomogram, (n,) bool: the share of each half that correlates best; None: all."""
        wanted = math.ceil(self.settings.share * self.count)
        if not FEWEST <= wanted < self.count:
            return None
        scores, half = np.concatenate([one.scores for one in poses]), np.concatenate(self.half)
        best = np.zeros(self.count, bool)
        for side in (0, 1):
            rows = np.flatnonzero(half == side)
            order = np.argsort(-scores[rows], kind="stable")
            best[rows[order[: math.ceil(wanted / 2)]]] = True
        return by_tomogram(best, poses)

    def _aligned(
        self,
        references: list[Reference],
        poses: list[Poses],
        shell: int,
        step: float,
        number: int,
    ) -> list[Poses]:
        """Poses of all particles, each against its half's reference."""
        fine, coarse = (
            Ball(self.size, shell),
            Ball(self.size, search_shell(self.size, self.diameter, step, shell)),
        )
        weights = {ball: self.weights(ball) for ball in (fine, coarse)}
        steps = Steps(self._progress, f"alignment {number + 1}", self.count)
        result = []
        for one, boxes, half, before in zip(
            self.particles, self.masked, self.half, poses, strict=True
        ):
            now = before
            for side in (0, 1):
                rows = np.flatnonzero(half == side)
                if not len(rows):
                    continue
                rough, polished = (
                    self.aligner(ball, boxes[rows], one.wedge, weights[ball])
                    for ball in (coarse, fine)
                )
                start = before.take(rows) if number else None
                found = self._searched(rough, polished, references[side], step, start, steps)
                now = now.merged(rows, found)
            result.append(now)
        return result

    def _searched(
        self,
        rough: Aligner,
        polished: Aligner,
        reference: Reference,
        step: float,
        start: Poses | None,
        steps: Steps | None = None,
    ) -> Poses:
        """Over all turns, and then around the best few and where the particle lay before."""
        reach = self.reach
        found = rough.search(reference, step=step, max_shift=reach, keep=HYPOTHESES, steps=steps)
        rough_ones = [rough.refine(reference, one, step=step / 2, max_shift=reach) for one in found]
        if start is not None:
            rough_ones.append(start)
        near = [
            polished.refine(reference, one, step=step / 4, max_shift=reach) for one in rough_ones
        ]
        return polished.refine(
            reference, best_of(near), step=step / 8, shift_step=0.25, max_shift=reach
        )

    def _instance_mask(self, poses: list[Poses]) -> np.ndarray:
        """The instance masks turned into one frame and made soft; the ball where they fail."""
        total, count = np.zeros((self.size,) * 3), 0
        middle = np.full(3, self.size // 2, float)
        for one, pose in zip(self.particles, poses, strict=True):
            if one.masks is None:
                continue
            for mask, rotation, shift in zip(
                one.masks, pose.rotations, pose.shifts_xyz, strict=True
            ):
                if not mask.any():
                    continue
                matrix = rotation.as_matrix()[::-1, ::-1]
                offset = middle + shift[::-1] - matrix @ middle
                total += ndimage.affine_transform(mask, matrix, offset, order=1)
                count += 1
        core = total >= MASK_SHARE * count if count else np.zeros(total.shape, bool)
        volume = core.sum() / (np.pi / 6 * self.diameter**3)
        if not MASK_VOLUMES[0] < volume < MASK_VOLUMES[1]:
            return self.ball_mask
        edge = max(EDGE * self.diameter, 2.0)
        distance = ndimage.distance_transform_edt(~core) - edge / 2
        return np.asarray(
            self.ball_mask * (0.5 + 0.5 * np.cos(np.pi * np.clip(distance / edge, 0, 1))),
            np.float32,
        )

    def _open(self) -> list[np.ndarray]:
        """Boxes as they are averaged: soft at the rim of the box only."""
        rim = soft_ball(self.size, self.size / 2 - 4, 3)
        return [one.subvolumes.boxes * rim for one in self.particles]

    @property
    def reach(self) -> float:
        """Voxels of the boxes, that a particle may be shifted."""
        return max(FREE * self.diameter, 1.0)

    def weights(self, ball: Ball) -> np.ndarray:
        """(k,) of the frequencies of a ball, by the noise of the particles."""
        return noise_weights([ball.of(boxes) for boxes in self.masked], ball)

    def aligner(
        self, ball: Ball, boxes: np.ndarray, wedge: MissingWedge, weights: np.ndarray
    ) -> Aligner:
        """Of boxes (n, size, size, size) of one tilt series; (k,) weights."""
        return Aligner(ball, ball.of(boxes), wedge, weights=weights, device=self.settings.device)


def finer(step: float) -> float:
    """Degrees between orientations in the round after one of this step: a fifth less, to 12°."""
    return min(step, max(step / 1.25, 12.0))
