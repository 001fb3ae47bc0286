"""Alignments per second of `aitom_cryosam.averaging` and of acryo, in one run.

    python benchmarks/align.py [--particles 20] [--acryo-particles 2] [--step 30] [--size 24]

Simulated boxes with a missing wedge and noise, whose rotations are known, aligned with the true
structure over all turns on a grid and shifts up to 3 voxels. acryo (an extra for tests) gets the
same boxes, tilt range, turns and shifts, and one thread, as torch does. It prints for both the
pairs of particle and turn per second, and the angles that they are off at the median.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--particles", type=int, default=20)
    parser.add_argument("--acryo-particles", type=int, default=2)
    parser.add_argument("--step", type=float, default=30.0, help="degrees")
    parser.add_argument("--size", type=int, default=24, help="voxels of a box")
    args = parser.parse_args()

    import torch

    from aitom_cryosam.averaging.rotations import all_rotations, angles_between

    torch.set_num_threads(1)
    boxes, template, truth = world(args.particles, args.size)
    turns = all_rotations(args.step)
    print(f"{len(turns)} turns, boxes of {args.size}³ voxels, one thread")
    rates = {}
    for name, align, n in (
        ("aitom_cryosam", ours, args.particles),
        ("acryo", acryo, args.acryo_particles),
    ):
        begin = time.perf_counter()
        found = align(boxes[:n], template, args.step)
        seconds = time.perf_counter() - begin
        rates[name] = n * len(turns) / seconds
        off = np.median(angles_between(found, truth[:n]))
        print(
            f"{name:15}{n:4} particles {seconds:8.2f} s {rates[name]:10.0f} pairs/s {off:6.1f}° off"
        )
    print(f"ratio {rates['aitom_cryosam'] / rates['acryo']:.1f}")


def world(n: int, size: int) -> tuple[np.ndarray, np.ndarray, Rotation]:
    """(n, size, size, size) boxes, the structure, and the rotations."""
    from aitom_cryosam.averaging.spectra import Ball
    from aitom_cryosam.averaging.wedge import MissingWedge
    from aitom_cryosam.simulation.density import ribosome_like

    density = ribosome_like(330.0 / size)
    rng = np.random.default_rng(0)
    rotations = Rotation.random(n, rng)

    def turned(matrix: np.ndarray) -> np.ndarray:
        middle = np.full(3, size // 2)
        return ndimage.affine_transform(
            density.data, matrix.T, density.centre_zyx - matrix.T @ middle, output_shape=(size,) * 3
        )

    ball = Ball(size, size / 2 - 1)
    clean = np.array([turned(one.as_matrix()[::-1, ::-1]) for one in rotations])
    seen = MissingWedge(-60, 60).weights(ball.points_xyz)
    boxes = np.array([ball.box(spectrum * seen) for spectrum in ball.of(clean)])
    boxes /= boxes.std()
    noise = rng.standard_normal(boxes.shape, np.float32)
    return boxes + noise, turned(np.eye(3)).astype(np.float32), rotations


def ours(boxes: np.ndarray, template: np.ndarray, step: float) -> Rotation:
    from aitom_cryosam.averaging.alignment import Aligner
    from aitom_cryosam.averaging.reference import Reference
    from aitom_cryosam.averaging.spectra import Ball
    from aitom_cryosam.averaging.wedge import MissingWedge

    ball = Ball(len(template), len(template) / 2 - 1)  # all frequencies, as acryo has them
    aligner = Aligner(ball, ball.of(boxes), MissingWedge(-60, 60))
    (poses,) = aligner.search(Reference(template), step=step, max_shift=3.0)
    return poses.rotations


def acryo(boxes: np.ndarray, template: np.ndarray, step: float) -> Rotation:
    from acryo.alignment import ZNCCAlignment
    from acryo.tilt import single_axis

    from aitom_cryosam.averaging.rotations import all_rotations

    turns = Rotation.from_matrix(all_rotations(step).as_matrix()[:, ::-1, ::-1])  # of z y x
    model = ZNCCAlignment(template, rotations=turns, tilt=single_axis((-60, 60), axis="y"))
    quaternions = []
    for box in boxes:
        result = model.align(box, max_shifts=(3, 3, 3))
        quaternions.append(result.quat)
    return Rotation.from_matrix(Rotation.from_quat(quaternions).as_matrix()[:, ::-1, ::-1])


if __name__ == "__main__":
    main()
