"""Trace: what led a run to its picks, kept small enough to lie beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.npz import reading_npz, write_npz

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Trace:
    """The prompts' masks, and the similarity where the first used prompt lies.

    Attributes:
        masks: of the prompts, in their order, with why each walk ended.
        centre_zyx: (3,) voxels; the planes below go through it.
        ratio: voxels of a cell of these planes.
        similarity: (h, w) each, cosine similarity (eq. 6) with the query of the cells in three
            planes, across z, y and x; None if it is not known.
        chance: similarity that the bulk of all maxima stays below.
    """

    masks: Sequence[ParticleMask]
    centre_zyx: np.ndarray
    ratio: int = 1
    similarity: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    chance: float = 0.0

    @classmethod
    def of(
        cls,
        masks: Sequence[ParticleMask],
        centre_zyx: np.ndarray,
        ratio: int,
        similarity: np.ndarray,
        chance: float,
    ) -> Trace:
        """Cut the planes out of a similarity map.

        Args:
            masks: of the prompts.
            centre_zyx: (3,) voxels, inside the tomogram.
            ratio: voxels of a cell of the map.
            similarity: (cells z, y, x).
            chance: as the attribute.
        """
        cell = np.minimum(
            nearest_voxel(centre_zyx) // ratio,
            np.array(similarity.shape) - 1,
        )
        z, y, x = (similarity.take(cell[axis], axis=axis) for axis in range(3))
        return cls(masks, np.asarray(centre_zyx, np.float64), ratio, (z, y, x), chance)

    def write(self, path: Path) -> None:
        """Write an npz file; the same trace gives the same bytes.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "ratio": self.ratio,
            "chance": float(self.chance),
            "stops": [mask.stops for mask in self.masks],
            "scores": [float(mask.score) for mask in self.masks],
            "ids": [int(mask.id) for mask in self.masks],
            "balls": [mask.is_ball for mask in self.masks],
        }
        bits = [np.packbits(mask.mask) for mask in self.masks]
        arrays = {
            "centre_zyx": self.centre_zyx,
            "prompts_zyx": _rows([mask.prompt_zyx for mask in self.masks], np.float64),
            "offsets_zyx": _rows([mask.offset_zyx for mask in self.masks], np.int64),
            "shapes_zyx": _rows([mask.mask.shape for mask in self.masks], np.int64),
            "voxels": np.concatenate([*bits, np.zeros(0, np.uint8)]),
        }
        for axis, plane in zip("zyx", self.similarity or (), strict=False):
            arrays[f"similarity_{axis}"] = np.asarray(plane, np.float16)
        write_npz(path, about, arrays, version=_FORMAT)

    @classmethod
    def read(cls, path: Path) -> Trace:
        """Read what `write` wrote.

        Raises:
            InputError: there is no such file, or it is not a trace.
        """
        with reading_npz(path, "the trace of a run", version=_FORMAT) as (about, arrays):
            similarity = None
            if "similarity_z" in arrays:
                z, y, x = (arrays[f"similarity_{axis}"].astype(np.float32) for axis in "zyx")
                similarity = (z, y, x)
            masks, centre = _masks(about, arrays), arrays["centre_zyx"]
            return cls(masks, centre, about["ratio"], similarity, about["chance"])


def _masks(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[ParticleMask]:
    shapes = arrays["shapes_zyx"]
    counts = shapes.prod(axis=1)
    ends = np.cumsum(-(-counts // 8))
    parts = np.split(arrays["voxels"], ends)
    return [
        ParticleMask(
            number,
            prompt,
            offset,
            np.unpackbits(bits, count=int(count)).astype(bool).reshape(shape),
            score,
            stops,
            is_ball,
        )
        for number, prompt, offset, bits, count, shape, score, stops, is_ball in zip(
            about["ids"],
            arrays["prompts_zyx"],
            arrays["offsets_zyx"],
            parts[:-1],
            counts,
            shapes,
            about["scores"],
            about["stops"],
            about.get("balls", [False] * len(shapes)),  # earlier ones have none
            strict=True,
        )
    ]


def _rows(values: Sequence[Any], dtype: type) -> np.ndarray:
    return np.array(values, dtype).reshape(-1, 3)
