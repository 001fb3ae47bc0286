"""AITom's own pickers behind the call that CryoSAM's has: its functions do the work."""

from __future__ import annotations

import io
import logging
import math
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from aitom_cryosam.aitom.modules import aitom_module
from aitom_cryosam.aitom.op import (
    VOLUME_KEYS,
    Key,
    Volume,
    checked,
    count,
    positive,
    tomogram_of,
)
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.points.formats.aitom import Record
from aitom_cryosam.progress import Progress
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.reading import read_volume

logger = logging.getLogger(__name__)

_NUMBER = (positive, "a number above 0")
_PROCESSES = (lambda value: value == 0 or count(value), "a whole number from 0")
_WIDTHS = {"nonoverlap_width", "overlap_width"}
_PARTS = 40  # that the rotations are divided into, for the progress
Angles = tuple[float, float, float]
"""phi, theta, psi, radians, as AITom's ZYZ."""
_SCANNING = "aitom.template.matching.standard_scanning.run_single"


class _OwnPicker:
    """A picker of AITom.

    Its op takes the "voxel_size" (Å) and "contrast" of the volume, where it does not know
    them, and for its peaks, all in voxels:

    - "t": those below m + t (M - m) / 20 fall, M and m being the highest and the lowest peak;
    - "peak_dist_min": of two closer ones the better stays (AITom's `do_filter`);
    - "pick_num": the most picks to return.
    """

    keys: ClassVar[dict[str, Key]] = {
        **VOLUME_KEYS,
        "t": (lambda value: value == 0 or positive(value), "a number from 0"),
        "peak_dist_min": _NUMBER,
        "pick_num": (count, "a whole number from 1"),
    }

    def __init__(self, op: Mapping[str, Any] | None = None) -> None:
        self.op = checked(op, self.keys, type(self).__name__)

    def pick(self, volume: Volume) -> list[Record]:
        """AITom's records, best first; a larger 'val' is better, whatever the contrast.

        Args:
            volume: an MRC file, an array (x, y, z), or a `Tomogram`.
        """
        peaks, level, distance = self._ranked(volume)
        strong = [peak for peak in peaks if peak["val"] >= level]
        return self._apart(strong, distance)[: self.op.get("pick_num")]

    def candidates(self, volume: Volume) -> tuple[list[Record], float]:
        """All peaks that are apart, best first, and the value from which on `pick` takes them."""
        peaks, level, distance = self._ranked(volume)
        return self._apart(peaks, distance), level

    def _tomogram(self, volume: Volume) -> Tomogram:
        raise NotImplementedError

    def _peaks(self, bright: np.ndarray, voxel_size: float) -> tuple[list[Record], float, float]:
        """The peaks of a volume, and the values of "t" and "peak_dist_min" where op has none.

        Args:
            bright: (x, y, z), protein bright.
            voxel_size: Å.
        """
        raise NotImplementedError

    def _ranked(self, volume: Volume) -> tuple[list[Record], float, float]:
        """All peaks, best first, the value that `t` stands for, and `peak_dist_min`."""
        tomogram = self._tomogram(volume)
        tomogram.check()
        bright = np.asarray(tomogram.data).T.astype(np.float32)
        if tomogram.contrast == "dark":
            np.negative(bright, out=bright)
        with redirect_stdout(_ToLog()):  # AITom prints as it goes
            peaks, t, distance = self._peaks(bright, tomogram.voxel_size)
        peaks.sort(key=lambda peak: -peak["val"])
        highest, lowest = (peaks[0]["val"], peaks[-1]["val"]) if peaks else (0.0, 0.0)
        level = lowest + self.op.get("t", t) * (highest - lowest) / 20
        return peaks, level, self.op.get("peak_dist_min", distance)

    def _apart(self, peaks: list[Record], distance: float) -> list[Record]:
        if not peaks:
            return []
        do_filter = aitom_module("aitom.pick.dog.particle_picking_dog__filter").do_filter
        return list(do_filter(peaks, distance))


class DoGPicker(_OwnPicker):
    """AITom's difference of Gaussians, `peak__partition`.

    Its op also takes "s1" (voxels, about the particle's radius; AITom's rule of 7 nm, but no
    less than 2 voxels, if absent), "s2" (1.1 s1), and AITom's "partition_op" and
    "multiprocessing_process_num"; "t" is 3 and "peak_dist_min" is s1 if absent.
    """

    keys: ClassVar[dict[str, Key]] = {
        **_OwnPicker.keys,
        "s1": _NUMBER,
        "s2": _NUMBER,
        "partition_op": (
            lambda value: isinstance(value, Mapping) and set(value) >= _WIDTHS,
            f"a dictionary with {' and '.join(sorted(_WIDTHS))}",
        ),
        "multiprocessing_process_num": _PROCESSES,
    }

    def _tomogram(self, volume: Volume) -> Tomogram:
        return tomogram_of(volume, self.op, array_voxel_size=1.0 if "s1" in self.op else None)

    def _peaks(self, bright: np.ndarray, voxel_size: float) -> tuple[list[Record], float, float]:
        s1 = self.op.get("s1", max(int(70 / voxel_size), 2))
        s2 = self.op.get("s2", 1.1 * s1)
        if s2 <= s1:
            raise InputError(f"Expected s2 above s1 in the op of DoGPicker, got {s2:g} and {s1:g}.")
        parts = {
            name: self.op[name]
            for name in ("partition_op", "multiprocessing_process_num")
            if name in self.op
        }
        dog = aitom_module("aitom.pick.dog.particle_picking_dog__util")
        return dog.peak__partition(bright, s1=s1, s2=s2, find_maxima=True, **parts), 3.0, s1


def _are_triples(value: Any) -> bool:
    try:
        return np.asarray(value, np.float64).reshape(len(value), 3).size > 0
    except (TypeError, ValueError):
        return False


class TemplateMatchingPicker(_OwnPicker):
    """AITom's template matching, `scan` of its standard scanning with "normalized-cor".

    Its op needs the "template": an array (x, y, z) of the volume's voxel size or an MRC file,
    protein bright, NaN outside of its mask. It also takes "angle_step" (degrees, 30), or
    "angles" as triples phi, theta, psi (radians, AITom's ZYZ), and "multiprocessing_process_num",
    the processes that share the rotations (0, none but this one). "t" is 10 and "peak_dist_min"
    half of the template's smallest side if absent.

    Args:
        op: as above.
        progress: called with "template matching", the rotations done and their number.
    """

    keys: ClassVar[dict[str, Key]] = {
        **_OwnPicker.keys,
        "template": (
            lambda value: isinstance(value, (str, Path, np.ndarray)),
            "an array or a file",
        ),
        "angle_step": _NUMBER,
        "angles": (_are_triples, "rows of phi, theta, psi"),
        "multiprocessing_process_num": _PROCESSES,
    }

    def __init__(
        self, op: Mapping[str, Any] | None = None, *, progress: Progress | None = None
    ) -> None:
        super().__init__(op)
        self._progress = progress

    def _tomogram(self, volume: Volume) -> Tomogram:
        return tomogram_of(volume, self.op, array_voxel_size=1.0)

    def _peaks(self, bright: np.ndarray, voxel_size: float) -> tuple[list[Record], float, float]:
        template = self._template(voxel_size)
        offset = template_offset(bright.shape, template.shape)
        angles = self.op.get("angles", zyz_angles(self.op.get("angle_step", 30.0)))
        processes = self.op.get("multiprocessing_process_num", 0)
        correlation = _scanned(bright, template, angles, processes, self._progress)
        voxels = aitom_module("aitom.filter.local_extrema").local_maxima(correlation)
        x = nearest_voxel(np.array(voxels).T + offset)
        inside = ((x >= 0) & (x < bright.shape)).all(axis=1)
        peaks = [
            {"val": float(val), "x": voxel, "uuid": str(uuid4())}
            for val, voxel in zip(correlation[voxels][inside], x[inside], strict=True)
        ]
        return peaks, 10.0, min(template.shape) / 2

    def _template(self, voxel_size: float) -> np.ndarray:
        """(x, y, z)."""
        template = self.op.get("template")
        if template is None:
            raise InputError("There is no template; give one in the op of TemplateMatchingPicker.")
        if not isinstance(template, np.ndarray):
            volume = read_volume(template)
            if abs(volume.voxel_size - voxel_size) > 0.01 * voxel_size:
                raise InputError(
                    f"{template} has voxels of {volume.voxel_size:g} Å, but the volume has "
                    f"{voxel_size:g} Å; resample the template."
                )
            template = volume.values.T
        if template.ndim != 3 or not np.nanstd(template) > 0:
            raise InputError(
                f"Expected a template (x, y, z) that is not constant, got {template.shape}."
            )
        return template


def zyz_angles(step: float) -> list[Angles]:
    """AITom's angles phi, theta, psi, radians, about `step` degrees apart, each rotation once."""
    turn = math.radians(step)
    angles: list[Angles] = []
    for theta in np.linspace(0, math.pi, 1 + max(1, round(math.pi / turn))).tolist():
        # The circles of phi shrink towards the poles.
        for phi in _circle(max(1, round(2 * math.pi * math.sin(theta) / turn))):
            angles += [(phi, theta, psi) for psi in _circle(max(1, round(2 * math.pi / turn)))]
    return angles


def _circle(number: int) -> list[float]:
    return [2 * math.pi * i / number for i in range(number)]


def template_offset(shape: tuple[int, ...], template: tuple[int, ...]) -> np.ndarray:
    """(3,) voxels from a peak of AITom's correlation to the middle of the template.

    AITom turns a template about its middle, but pastes it beside that of the map.
    """
    size = np.array(shape)
    util = aitom_module("aitom.image.vol.util")
    place = util.subvolume_center_start_end(np.round(size / 2), size, np.array(template))
    if place is None:
        raise InputError(f"The template, {template}, does not fit into the volume, {shape}.")
    return place[:, 0] + (np.array(template) - 1) / 2 - size // 2


def _scanned(
    bright: np.ndarray,
    template: np.ndarray,
    angles: Sequence[Angles],
    processes: int,
    progress: Progress | None,
) -> np.ndarray:
    """(x, y, z) the highest correlation over all angles."""
    best = np.full(bright.shape, -np.inf)
    done = 0
    with TemporaryDirectory() as folder:
        np.save(f"{folder}/template.npy", template.astype(np.float64))
        np.save(f"{folder}/map.npy", bright.astype(np.float64))
        # The first rotations of all processes tell how long the others will take.
        first, rest = angles[: max(processes, 1)], angles[max(processes, 1) :]
        size = max(1, len(rest) // (_PARTS * max(processes, 1)))
        parts = [[one] for one in first] + [rest[i : i + size] for i in range(0, len(rest), size)]
        for file, number, seconds in _side_by_side(folder, parts, processes):
            np.fmax(best, np.load(file), out=best)
            file.unlink()
            if done == 0:
                logger.info(
                    "Template matching: %d rotations, %.2g s each; about %.1f minutes on %d %s.",
                    len(angles),
                    seconds,
                    seconds * len(angles) / max(processes, 1) / 60,
                    max(processes, 1),
                    "processes" if processes > 1 else "process",
                )
            done += number
            if progress:
                progress("template matching", done, len(angles))
    return best


def _side_by_side(
    folder: str, parts: Sequence[Sequence[Angles]], processes: int
) -> Iterator[tuple[Path, int, float]]:
    """`_scan` of all parts, as they end."""
    names = [f"part{i}" for i in range(len(parts))]
    if processes < 2:
        yield from map(_scan, [folder] * len(parts), names, parts)
        return
    aitom_module(_SCANNING)  # says here what is missing
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        jobs = [
            pool.submit(_scan, folder, name, part) for name, part in zip(names, parts, strict=True)
        ]
        for job in as_completed(jobs):
            yield job.result()
    except BrokenProcessPool:
        raise MemoryError from None
    finally:
        pool.shutdown(cancel_futures=True)


def _scan(folder: str, name: str, angles: Sequence[Angles]) -> tuple[Path, int, float]:
    """AITom's scan: the file with the highest correlation, the rotations, the seconds."""
    scanning = aitom_module(_SCANNING)
    start = time.perf_counter()
    op = {"id": name, "out_dir": folder, "mode": "normalized-cor", "angles": angles}
    files = {"template": f"{folder}/template.npy", "map": f"{folder}/map.npy"}
    with redirect_stdout(_ToLog()):
        found = scanning.scan({**op, **files})
    for angle in ("phi", "theta", "psi"):
        Path(found[angle]).unlink()
    return Path(found["c"]), len(angles), time.perf_counter() - start


class _ToLog(io.TextIOBase):
    def write(self, text: str) -> int:
        if text.strip():
            logger.debug("AITom: %s", text.strip())
        return len(text)
