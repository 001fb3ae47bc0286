"""Tomogram: a volume with its voxel size, and its planes as numbers that can be compared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.errors import InputError, expect_kind
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.names import file_stem
from aitom_cryosam.threads import mapped
from aitom_cryosam.volumes import ome_zarr_labels
from aitom_cryosam.volumes.mrc import label_type, write_volume
from aitom_cryosam.volumes.reading import read_volume
from aitom_cryosam.volumes.volume import Sliced, Source, Triple, refuse_voxel_size

CLIP = 6.0
"""Normalised values lie in -CLIP to CLIP: gold beads and ray artefacts end there."""

_QUIET = 0.15  # a margin's planes vary less than this share of what a typical plane does
_SAMPLE = 2_000_000  # voxels that normalisation is measured on
_REACH = 2  # voxels; what does not change over them is filling, not data
_FAR = 10.0  # from the median, in units of the middle 98 % of the values: there outliers end
_SAFE = (1e-30, 1e30)  # centres and scales that leave room in single precision
Contrast = Literal["dark", "bright"]


@dataclass(frozen=True)
class Normalisation:
    """Centre and scale, in units of the data.

    Attributes:
        centre: the median.
        scale: the standard deviation of the values cut at their 1st and 99th percentile. As
            robust as the median deviation against gold and artefacts, but it does not shrink
            to the background of a denoised tomogram, where particles are all that varies.
    """

    centre: float
    scale: float


@dataclass(frozen=True, eq=False)
class Tomogram:
    """A tomogram, never written to.

    Attributes:
        data: (D, H, W) real numbers, axes z y x, finite and not all equal; read-only and
            memory-mapped where the file allows. Any array that can be sliced will do.
        voxel_size: Å.
        name: the file's stem as text ("0012" stays "0012").
        contrast: whether protein is "dark" (IMOD, AreTomo, RELION) or "bright" (Warp, EMAN2).
        path: the file, or None.
        origin: x, y, z of the file's header, Å.
        nstart: x, y, z of the file's header, voxels.
        source: the file as it was opened, or None; every read asks whether it still is so.
    """

    data: Sliced
    voxel_size: float
    name: str
    contrast: Contrast
    path: Path | None = None
    origin: Triple = (0.0, 0.0, 0.0)
    nstart: tuple[int, int, int] = (0, 0, 0)
    source: Source | None = None

    def __post_init__(self) -> None:
        if len(self.data.shape) != 3 or 0 in self.data.shape:
            raise InputError(f"Expected a volume of shape (D, H, W), got {self.data.shape}.")
        if self.data.dtype.kind not in "iuf":
            where = f" in {self.path}" if self.path else ""
            raise InputError(f"Expected real numbers{where}, got {self.data.dtype}.")
        refuse_voxel_size(self.voxel_size)
        expect_kind(self.name, str, "a name of the tomogram as text")
        if not self.name or {"/", "\0"} & set(self.name):  # files are called after it
            raise InputError(f"Expected a name of the tomogram without slashes, got {self.name!r}.")
        if self.contrast not in ("dark", "bright"):
            raise InputError(f"Expected contrast 'dark' or 'bright', got {self.contrast!r}.")

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        voxel_size: float | None = None,
        contrast: Contrast = "dark",
    ) -> Tomogram:
        """Open an MRC file or OME-Zarr image; its data stay on disk, and unread, until needed.

        Args:
            path: `.mrc`, `.rec`, `.map`, or one of them with `.gz`; `.zarr`, or it zipped.
            voxel_size: Å, instead of the header's; required where that is 0, 1 or unequal. Of
                OME-Zarr it chooses the level.
            contrast: whether protein is dark or bright.

        Raises:
            InputError: the file is missing, damaged or not a volume. Its values are checked
                when they are first needed, see `check`.
        """
        volume = read_volume(path, voxel_size=voxel_size)
        return cls(
            data=volume.data,
            voxel_size=volume.voxel_size,
            name=file_stem(path),
            contrast=contrast,
            path=Path(path),
            origin=volume.origin,
            nstart=volume.nstart,
            source=volume.source,
        )

    @classmethod
    def from_array(
        cls,
        data: np.ndarray,
        *,
        voxel_size: float,
        name: str = "tomogram",
        contrast: Contrast = "dark",
    ) -> Tomogram:
        """A tomogram from an array (D, H, W), which is not copied.

        Raises:
            InputError: it is not a volume, or `check` finds fault with its values.
        """
        try:
            view = np.asarray(data).view()
        except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor elsewhere
            raise InputError(
                f"Expected an array of shape (D, H, W), got a value of the type "
                f"{type(data).__name__} that makes none."
            ) from None
        view.flags.writeable = False
        tomogram = cls(data=view, voxel_size=voxel_size, name=name, contrast=contrast)
        tomogram.check()
        return tomogram

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W), voxels."""
        depth, height, width = self.data.shape
        return depth, height, width

    def check(self) -> None:
        """See to it that the values can be used; the first pass over all of them does it anyway.

        Raises:
            InputError: a voxel is NaN or infinite, or all are the same.
        """
        _ = self.content_box

    def plane(self, axis: int, index: int) -> np.ndarray:
        """One plane, normalised, protein positive.

        Args:
            axis: 0, 1, 2 for a plane across z, y, x.
            index: voxel along that axis.

        Returns:
            (h, w) float32, the two other axes in their order.
        """
        return self.planes(axis, index, index + 1)[0]

    def planes(self, axis: int, start: int, stop: int) -> np.ndarray:
        """Neighbouring planes, normalised, protein positive.

        Args:
            axis: 0, 1, 2 for planes across z, y, x.
            start: first voxel along that axis.
            stop: one past the last.

        Returns:
            (stop - start, h, w) float32, the two other axes in their order.
        """
        lower, upper = [0, 0, 0], list(self.shape)
        lower[axis], upper[axis] = start, stop
        return np.ascontiguousarray(np.moveaxis(self.box(lower, upper), axis, 0))

    def box(self, lower_zyx: Sequence[int], upper_zyx: Sequence[int]) -> np.ndarray:
        """A box, normalised, protein positive.

        Args:
            lower_zyx: first voxel, inside the tomogram.
            upper_zyx: one past the last, inside the tomogram.

        Returns:
            (d, h, w) float32 between -CLIP and CLIP.

        Raises:
            IndexError: the box is not inside the tomogram.
        """
        corners = zip(lower_zyx, upper_zyx, self.shape, strict=True)
        if not all(0 <= low <= high <= size for low, high, size in corners):
            raise IndexError(f"Box {lower_zyx} to {upper_zyx} leaves the shape {self.shape}.")
        cut = tuple(slice(a, b) for a, b in zip(lower_zyx, upper_zyx, strict=True))
        self.check_source()
        return self._normalised(np.asarray(self.data[cut]))

    def boxes(self, lower_zyx: np.ndarray, side: int) -> np.ndarray:
        """Cubes, as `box`.

        Args:
            lower_zyx: (n, 3) int, first voxel of each, inside the tomogram as all of it.
            side: voxels.

        Returns:
            (n, side, side, side) float32.
        """
        values = np.empty((len(lower_zyx), side, side, side), self.data.dtype)
        self.check_source()
        for cube, (z, y, x) in zip(values, lower_zyx.tolist(), strict=True):
            cube[:] = self.data[z : z + side, y : y + side, x : x + side]
        return self._normalised(values)

    def _normalised(self, data: np.ndarray) -> np.ndarray:
        """float32 between -CLIP and CLIP, of values (...) as they lie on disk."""
        centre, scale = self.normalisation.centre, self.normalisation.scale
        low, high = _SAFE
        kind = np.float32 if low < scale < high and abs(centre) < high else np.float64
        with np.errstate(over="ignore"):  # outliers; they are cut
            values: np.ndarray = data.astype(kind)
            values -= kind(centre)
            values *= kind((-1 if self.contrast == "dark" else 1) / scale)
        return np.clip(values, -CLIP, CLIP, out=values).astype(np.float32, copy=False)

    def binned(self, side: int) -> np.ndarray:
        """The whole of it as means of blocks of side³ voxels, read a few planes at a time.

        Args:
            side: voxels; a rest at the far faces is left out.

        Returns:
            (D // side, H // side, W // side) float32, normalised, protein positive.
        """
        starts = range(0, self.shape[0] - side + 1, side)
        return np.concatenate([binned(self.planes(0, z, z + side), side) for z in starts])

    def check_source(self) -> None:
        """Refuse to go on with a file that is no longer what was opened.

        Raises:
            InputError: it was changed or removed.
        """
        if self.source is not None:
            self.source.check()

    @cached_property
    def normalisation(self) -> Normalisation:
        """Measured inside `content_box` on an even lattice of at most 2 million voxels.

        A value that mostly occurs where nothing varies (the filled corners of a rotated volume)
        does not count. The lattice is the same along every axis, so turning the volume changes
        nothing.
        """
        lower, upper = self.content_box
        size = math.prod(upper[axis] - lower[axis] for axis in range(3))
        step = math.ceil((size / _SAMPLE) ** (1 / 3))
        lattice = [np.arange(low, high, step) for low, high in zip(lower, upper, strict=True)]
        values = self._voxels(lattice)

        def same(way: tuple[int, int]) -> np.ndarray:
            axis, shift = way
            beside = list(lattice)
            beside[axis] = np.clip(lattice[axis] + shift, 0, self.shape[axis] - 1)
            return np.asarray(self._voxels(beside) == values)

        filling = np.all(mapped(same, list(product(range(3), (-_REACH, _REACH)))), axis=0)
        if filling.any():
            kinds, kind, counts = np.unique(values, return_inverse=True, return_counts=True)
            data = np.bincount(kind.ravel(), filling.ravel()) < counts / 2
            values = np.repeat(kinds[data], counts[data]) if data.any() else kinds
        else:
            values = np.sort(values, axis=None)
        low, centre, high = _ranks(values)
        scale = np.clip(values.astype(np.float64), low, high).std()
        return Normalisation(centre, float(scale) or 1.0)

    @cached_property
    def content_box(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(lower_zyx, upper_zyx): the voxels without constant or blank margins.

        End planes along each axis fall whose standard deviation is below 0.15 of the median
        of all planes that vary.

        Raises:
            InputError: a voxel is NaN or infinite, or all are the same.
        """
        count = math.prod(self.shape)
        step = math.ceil((count / _SAMPLE) ** (1 / 3))
        sample = self._voxels([np.arange(0, n, step) for n in self.shape])
        low, centre, high = _ranks(np.nan_to_num(sample, nan=0, posinf=0, neginf=0))
        # Every plane of an axis, each on all its voxels, in one pass over the z planes. In units
        # of the values' own spread, and cut: one bad voxel must not make all else look blank.
        depth, height, width = self.shape
        rows, columns = np.zeros((2, depth, height)), np.zeros((2, depth, width))

        def measure(z: int) -> tuple[Any, Any]:
            plane = self._plane(z)
            extremes = plane.min(), plane.max()
            if np.isfinite(extremes).all():
                values = (plane.astype(np.float64) - centre) / ((high - low) or 1.0)
                np.clip(values, -_FAR, _FAR, out=values)
                for moment, powers in enumerate((values, values * values)):
                    rows[moment, z] = powers.sum(axis=1)
                    columns[moment, z] = powers.sum(axis=0)
            return extremes

        lowest, highest = zip(*mapped(measure, range(depth)), strict=True)
        for z, extremes in enumerate(zip(lowest, highest, strict=True)):
            if not np.isfinite(extremes).all():
                raise InputError(f"{self._called}: plane z = {z} holds NaN or infinity; repair it.")
        if min(lowest) == max(highest):
            raise InputError(f"{self._called}: every voxel is {lowest[0]}; there is nothing in it.")
        sums = rows.sum(axis=2), rows.sum(axis=1), columns.sum(axis=1)
        ends = [_content(first, second, count // len(first)) for first, second in sums]
        (z0, z1), (y0, y1), (x0, x1) = ends
        return (z0, y0, x0), (z1, y1, x1)

    def is_blank(self, point_zyx: Sequence[float] | np.ndarray) -> bool:
        """Whether a point lies outside `content_box`, or in filling that reaches the border.

        What is constant but ends inside is data: a particle in values that were cut off.

        Args:
            point_zyx: voxels, inside or outside the tomogram.
        """
        voxel = nearest_voxel(np.asarray(point_zyx, dtype=np.float64)).tolist()
        inside = zip(voxel, *self.content_box, strict=True)
        if not all(low <= value < high for value, low, high in inside):
            return True
        self.check_source()
        cut = tuple(slice(max(v - _REACH, 0), v + _REACH + 1) for v in voxel)
        around = np.asarray(self.data[cut])
        return bool(around.min() == around.max()) and self._filled(voxel)

    def _filled(self, voxel: list[int]) -> bool:
        """Whether the values from a voxel to the border are the same, along any axis."""
        value = self.data[tuple(voxel)]
        for axis, middle in enumerate(voxel):
            line: list[int | slice] = list(voxel)
            for side in (slice(0, middle), slice(middle, None)):
                line[axis] = side
                if (np.asarray(self.data[tuple(line)]) == value).all():
                    return True
        return False

    def digest(self) -> str:
        """sha256 (hex) of shape, type and values, whatever the byte order on disk."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        dtype = self.data.dtype.newbyteorder("<")
        result = hashlib.sha256(f"{self.shape} {dtype.str}".encode())
        for z in range(self.shape[0]):
            result.update(np.ascontiguousarray(self._plane(z), dtype=dtype).tobytes())
        return result.hexdigest()

    def write_labels(
        self, path: str | Path, labels: np.ndarray, *, overwrite: bool = False
    ) -> None:
        """Write instance ids as a volume that lies exactly on this tomogram.

        Args:
            path: file to write, never compressed; OME-Zarr if it ends in `.zarr`.
            labels: (D, H, W) integers of the tomogram's shape.
            overwrite: replace an existing file.

        Raises:
            InputError: another shape, ids beyond 2^24, or the file cannot be written.
        """
        if labels.shape != self.shape:
            raise InputError(f"Expected labels of shape {self.shape}, got {labels.shape}.")
        if Path(path).suffix.lower() == ".zarr":
            size, origin = self.voxel_size, self.origin
            ome_zarr_labels.write_labels(
                path, labels, voxel_size=size, origin=origin, overwrite=overwrite
            )
            return
        values = labels.astype(label_type(labels), copy=False)
        self.write_volume(path, values, overwrite=overwrite)

    def write_volume(
        self, path: str | Path, values: np.ndarray, *, overwrite: bool = False
    ) -> None:
        """Write values as a volume that lies exactly on this tomogram.

        Args:
            path: file to write, never compressed.
            values: (D, H, W) of a type that MRC files hold.
            overwrite: replace an existing file.

        Raises:
            InputError: the file exists or cannot be written.
        """
        write_volume(
            path,
            values,
            voxel_size=self.voxel_size,
            origin=self.origin,
            nstart=self.nstart,
            overwrite=overwrite,
        )

    @property
    def _called(self) -> str:
        return str(self.path or self.name)

    def _voxels(self, lattice: list[np.ndarray]) -> np.ndarray:
        self.check_source()
        inside = np.ix_(*lattice[1:])
        planes = [np.asarray(self.data[int(z)])[inside].astype(np.float32) for z in lattice[0]]
        return np.stack(planes)

    def _plane(self, z: int) -> np.ndarray:
        """(H, W), as it lies on disk."""
        self.check_source()
        return np.asarray(self.data[z])


def _ranks(values: np.ndarray) -> tuple[float, float, float]:
    """The 1st, 50th and 99th percentile; where they are one, those of the values beside it."""
    low, centre, high = np.percentile(values.astype(np.float64), (1, 50, 99))
    others = values[values != centre]
    if low == high and len(others):
        low, high = np.percentile(others.astype(np.float64), (1, 99))
    return float(min(low, centre)), float(centre), float(max(high, centre))


def _content(sums: np.ndarray, squares: np.ndarray, count: int) -> tuple[int, int]:
    """First and one past the last plane that varies as planes do here."""
    deviation = np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0))
    varied = deviation[deviation > 1e-6 * max(deviation.max(), 1)]
    if not len(varied):  # the values change along this axis only
        return 0, len(deviation)
    kept = np.flatnonzero(deviation >= _QUIET * np.median(varied))
    return int(kept[0]), int(kept[-1]) + 1
