"""Are the particles in the middle of what RELION 5's extraction cuts at our coordinates?

A tilt series of round particles is computed from their positions alone, with noise; reconstructed
at a coarser pixel size; picked from one click; and written with `--star relion5`. The extraction
of zarr-particle-tools, which is another group's and checked against RELION itself, then cuts at
these coordinates from the tilt series. What it cut is looked at: where in the box is the particle?

    python benchmarks/relion5_centring.py --extractor ENV/bin/zarr-particle-extract

It needs an environment of its own: pip install zarr-particle-tools.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile
from scipy.spatial.distance import cdist

from aitom_cryosam.cli import main as cryosam
from aitom_cryosam.volumes.mrc import write_volume

PIXEL = 3.0  # Å, of the tilt series
SIZE_XYZ = (512, 480, 160)  # unbinned pixels
BINNING = 4
SIGMA = 36.0  # Å, of a round particle
DISTANCE = 260.0  # Å, between particles
COUNT = 14
BOX = 24  # binned pixels
TILTS = np.arange(-48.0, 49.0, 6.0)
NOISE = 0.5  # deviations, in units of the peak of a particle's projection


def positions(rng: np.random.Generator) -> np.ndarray:
    """(n, 3) x y z, Å from the centre of the tomogram, apart and away from the edges."""
    half = np.array(SIZE_XYZ) * PIXEL / 2 - (230, 230, 100)
    found = np.zeros((0, 3))
    while len(found) < COUNT:
        one = rng.uniform(-half, half)[None]
        if not len(found) or cdist(one[:, :2], found[:, :2]).min() > DISTANCE:
            found = np.concatenate([found, one])
    return found


def tilt_series(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(t, h, w) float32, protein dark: pixel w/2, h/2 is where the centre projects to."""
    width, height, _ = SIZE_XYZ
    x, y = ((np.arange(n) - n / 2) * PIXEL for n in (width, height))
    images = rng.normal(scale=NOISE, size=(len(TILTS), height, width)).astype(np.float32)
    for image, (u, v) in zip(images, projected(points), strict=True):
        for across, along in zip(u, v, strict=True):
            row, column = (np.exp(-0.5 * (d / SIGMA) ** 2) for d in (x - across, y - along))
            image -= np.outer(column, row)
    return images


def projected(points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each tilt, Å from the image's centre: tilted around y, as RELION's rlnTomoYTilt."""
    angles = np.radians(TILTS)
    return [
        (points[:, 0] * np.cos(angle) + points[:, 2] * np.sin(angle), points[:, 1])
        for angle in angles
    ]


def reconstruction(images: np.ndarray) -> np.ndarray:
    """(D, H, W) weighted back-projection of the images, binned by cropping their transforms."""
    width, height, depth = (n // BINNING for n in SIZE_XYZ)
    whole = np.fft.rfft2(images)
    rows = np.fft.fftfreq(images.shape[1], 1 / images.shape[1]).astype(int)
    kept = whole[:, (rows >= -height // 2) & (rows < height // 2), : width // 2 + 1]
    kept *= np.abs(np.fft.rfftfreq(width))  # the ramp, across the tilt axis
    binned = np.fft.irfft2(kept, s=(height, width))
    x, z = (np.arange(n) - n / 2 for n in (width, depth))
    volume = np.zeros((depth, height, width), np.float32)
    for image, angle in zip(binned, np.radians(TILTS), strict=True):
        u = x * np.cos(angle) + z[:, None] * np.sin(angle) + width / 2  # (D, W)
        for row in range(height):
            volume[:, row] += np.interp(u, np.arange(width), image[row], left=0, right=0)
    return volume


def write_project(folder: Path, images: np.ndarray) -> None:
    """The tilt series, its tomogram and RELION's files about them."""
    with mrcfile.new(folder / "TS_01.mrcs") as file:
        file.set_data(images)
        file.voxel_size = PIXEL
    tomogram = folder / "rec_TS_01.mrc"
    write_volume(tomogram, reconstruction(images), voxel_size=PIXEL * BINNING)
    count = len(TILTS)
    tilts = {
        "rlnMicrographName": [f"{n:06d}@{folder / 'TS_01.mrcs'}" for n in range(1, count + 1)],
        "rlnTomoXTilt": 0.0,
        "rlnTomoYTilt": TILTS,
        "rlnTomoZRot": 0.0,
        "rlnTomoXShiftAngst": 0.0,
        "rlnTomoYShiftAngst": 0.0,
        "rlnDefocusU": 30000.0,
        "rlnDefocusV": 30000.0,
        "rlnDefocusAngle": 0.0,
        "rlnMicrographPreExposure": 0.0,
    }
    starfile.write({"TS_01": pd.DataFrame(tilts)}, folder / "TS_01.star")
    x, y, z = SIZE_XYZ
    row = {
        "rlnTomoName": "TS_01",
        "rlnVoltage": 300.0,
        "rlnSphericalAberration": 2.7,
        "rlnAmplitudeContrast": 0.07,
        "rlnTomoHand": -1.0,
        "rlnOpticsGroupName": "optics1",
        "rlnTomoTiltSeriesPixelSize": PIXEL,
        "rlnTomoTiltSeriesStarFile": str(folder / "TS_01.star"),
        "rlnTomoSizeX": x,
        "rlnTomoSizeY": y,
        "rlnTomoSizeZ": z,
        "rlnTomoTomogramBinning": float(BINNING),
        "rlnTomoReconstructedTomogram": str(tomogram),
    }
    starfile.write({"global": pd.DataFrame([row])}, folder / "tomograms.star")


def pick(folder: Path, points: np.ndarray) -> pd.DataFrame:
    """Our particles for RELION 5, from a click on the first particle."""
    size = np.array(SIZE_XYZ)
    click = np.round((points[0] / PIXEL + size / 2) / BINNING).astype(int)
    command = ["pick", str(folder / "rec_TS_01.mrc"), "--prompt", ",".join(map(str, click))]
    command += ["--diameter", f"{4 * SIGMA:g}", "--out", str(folder / "picks"), "--quiet"]
    command += ["--star", "relion5", "--tomograms-star", str(folder / "tomograms.star")]
    if cryosam([*command, "--preset", "embedded"]) != 0:
        raise SystemExit("cryosam pick failed")
    return starfile.read(folder / "picks" / "rec_TS_01_relion5.star")


def extract(folder: Path, particles: pd.DataFrame, extractor: str) -> list[np.ndarray]:
    """(t, BOX, BOX) for each particle, protein bright; what RELION's import adds is added."""
    names = [f"TS_01/{n}" for n in range(1, len(particles) + 1)]
    optics = {
        "rlnOpticsGroup": [1],
        "rlnOpticsGroupName": ["optics1"],
        "rlnSphericalAberration": [2.7],
        "rlnVoltage": [300.0],
        "rlnAmplitudeContrast": [0.07],
        "rlnTomoTiltSeriesPixelSize": [PIXEL],
    }
    rows = particles.assign(rlnTomoParticleName=names, rlnOpticsGroup=1)
    file = folder / "particles.star"
    starfile.write({"optics": pd.DataFrame(optics), "particles": rows}, file)
    command = [extractor, "local", "--particles-starfile", str(file), "--no-ctf"]
    command += ["--tomograms-starfile", str(folder / "tomograms.star"), "--bin", str(BINNING)]
    command += ["--box-size", str(BOX), "--output-dir", str(folder / "extracted"), "--overwrite"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    made = folder / "extracted" / "Subtomograms" / "TS_01"
    stacks = []
    for number in range(1, len(particles) + 1):
        with mrcfile.open(made / f"{number}_stack2d.mrcs") as file:
            stacks.append(file.data.copy())
    return stacks


def offset(stack: np.ndarray) -> np.ndarray:
    """(3,) x y z, Å from the middle of the box to the particle that is seen in all its tilts."""
    places = np.arange(BOX) - BOX / 2
    reach = 2 * SIGMA / (PIXEL * BINNING)
    shifts = np.zeros((len(stack), 2))
    for image, shift in zip(stack.astype(np.float64), shifts, strict=True):
        for _ in range(10):  # the centre of mass around the centre of mass
            x, y = places - shift[0], places[:, None] - shift[1]
            weights = image * np.exp(-(x**2 + y**2) / reach**2)
            near = x**2 + y**2 < (1.5 * reach) ** 2
            mass = weights[near].sum()
            shift += 2 * np.array([(weights * x)[near].sum(), (weights * y)[near].sum()]) / mass
            np.clip(shift, -reach, reach, out=shift)
    angles = np.radians(TILTS[: len(stack)])
    across = np.linalg.lstsq(
        np.stack([np.cos(angles), np.sin(angles)], axis=1), shifts[:, 0], rcond=None
    )[0]
    return np.array([across[0], shifts[:, 1].mean(), across[1]]) * PIXEL * BINNING


def centring(folder: Path, extractor: str, seed: int = 0) -> dict[str, np.ndarray]:
    """(n, 3) Å x y z from the middle of each box to the particle.

    "picks": at our coordinates. "truth": at the true positions of the same particles, which
    tells what the measurement is worth.
    """
    rng = np.random.default_rng(seed)
    points = positions(rng)
    write_project(folder, tilt_series(points, rng))
    particles = pick(folder, points)
    columns = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    gaps = cdist(particles[columns], points)
    good = gaps.min(axis=1) < 2 * SIGMA
    particles, truth = particles[good], points[gaps.argmin(axis=1)[good]]
    true = particles.assign(**dict(zip(columns, truth.T, strict=True)))
    return {
        kind: np.array([offset(stack) for stack in extract(folder, rows, extractor)])
        for kind, rows in (("picks", particles), ("truth", true))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extractor", required=True, help="zarr-particle-extract")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    print(f"half a binned voxel: {PIXEL * BINNING / 2:g} Å")
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = centring(Path(folder), args.extractor, seed)
        for kind in ("picks", "truth"):
            x, y, z = found[kind].mean(axis=0)
            lengths = np.linalg.norm(found[kind], axis=1)
            print(
                f"seed {seed}, {len(lengths)} of {COUNT}, {kind}: mean offset x {x:+.2f}, "
                f"y {y:+.2f}, z {z:+.2f} Å; mean distance {lengths.mean():.2f} Å"
            )


if __name__ == "__main__":
    main()
