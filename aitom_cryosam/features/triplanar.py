"""Tri-planar features (paper section 2.2), without ever forming them for all voxels.

F = [Z, Y, X] has 3C channels for every voxel: far too much to store. Only the tokens of the
planes of each view are kept, in memory or on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.cache import Cache
from aitom_cryosam.encoders.base import PlaneEncoder
from aitom_cryosam.features.extraction import Extraction
from aitom_cryosam.features.level import Level
from aitom_cryosam.features.token_files import release
from aitom_cryosam.features.view import View
from aitom_cryosam.geometry import CellAxis
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.temporaries import sweep, temporary_folder
from aitom_cryosam.threads import side_by_side
from aitom_cryosam.tomogram import Tomogram

_UNKNOWN: Mapping[str, Any] = {}
AT_ONCE = 32
"""Masks over which the tokens are averaged together, by one thread."""


class TriplanarFeatures:
    """F of eq. 3 for one tomogram, kept as tokens.

    Args:
        views: one View for each of the axes z, y, x.
        ratios: the pyramid levels to prepare; others are prepared when first asked for.
        signature: what the tokens depend on beside the tomogram, as JSON values.
    """

    def __init__(
        self,
        views: Sequence[View],
        ratios: Sequence[int] = (),
        signature: Mapping[str, Any] = _UNKNOWN,
    ) -> None:
        self.views = tuple(views)
        self.signature = dict(signature)
        self.shape = tuple(view.slices.size for view in self.views)
        levels = zip(*(Level.prepare(view, ratios) for view in self.views), strict=True)
        self._levels = dict(zip(ratios, levels, strict=True))

    @classmethod
    def extract(
        cls,
        tomogram: Tomogram,
        encoder: PlaneEncoder,
        *,
        slab: int = 1,
        shrinkage: float | None = None,
        ratios: Sequence[int] = (),
        progress: Progress | None = None,
        ram_bytes: int | None = None,
        cache: Cache | None = None,
    ) -> TriplanarFeatures:
        """Encode every plane of the three views.

        Args:
            tomogram: (D, H, W).
            encoder: planes to tokens.
            slab: planes averaged into one before they are encoded; 1 as in the paper.
            shrinkage: whiten every view over the tomogram (see Whitening); None leaves the
                tokens as the encoder gives them.
            ratios: pyramid levels to prepare.
            progress: called with "features", the planes encoded and their number.
            ram_bytes: more tokens than that lie in temporary files (in the folder TMPDIR names,
                if it is set), which are gone when the features are; None for no limit.
            cache: keeps the tokens on disk for later runs, or has them from an earlier one.

        Raises:
            InputError: the tokens do not fit on the disk, or the cache cannot be written.
        """
        work = Extraction(tomogram, encoder, slab, shrinkage)
        steps = Steps(progress, "features", sum(tomogram.shape))
        if cache is not None:
            views = cache.load(
                "features",
                tomogram,
                work.signature,
                make=lambda folder: work.to_files(folder, steps),
                read=work.from_files,
            )
            if not work.encoded:
                steps.add(steps.total)
        elif ram_bytes is not None and work.nbytes > ram_bytes:
            # The files go with the folder, now; their contents with the last array in them.
            sweep(Path(tempfile.gettempdir()))
            with temporary_folder() as folder:
                views = work.to_files(folder, steps)
        else:
            views = work.to_memory(steps)
        return cls(views, ratios, work.signature)

    @property
    def channels(self) -> int:
        """C, of one view."""
        return int(self.views[0].tokens.shape[-1])

    def level(self, ratio: int) -> tuple[Level, ...]:
        """The three views at a pyramid level; ratio 1 is every voxel."""
        if ratio not in self._levels:
            self._levels[ratio] = tuple(Level.prepare(view, [ratio])[0] for view in self.views)
        return self._levels[ratio]

    def cells(self, ratio: int) -> tuple[CellAxis, CellAxis, CellAxis]:
        """The grid of a pyramid level, z y x."""
        z, y, x = (CellAxis(size, ratio) for size in self.shape)
        return z, y, x

    def sample(self, points_zyx: np.ndarray) -> np.ndarray:
        """F at points, eq. 3, explicitly. points_zyx: (n, 3) voxels. Returns (n, 3C) float32."""
        return np.concatenate([view.sample(points_zyx) for view in self.views], axis=1)

    def masked_mean(self, masks: Sequence[ParticleMask]) -> np.ndarray:
        """F_Q of eq. 4: the mean of F over all voxels of all masks, (3C,) float32.

        Raises:
            ValueError: no mask has a voxel.
        """
        return self.pool(masks)[0]

    def pool(self, masks: Sequence[ParticleMask]) -> tuple[np.ndarray, np.ndarray]:
        """F_Q of eq. 4, (3C,) float32, and the mean of F over each mask alone.

        The latter is (n, 3C) float32, NaN for an empty mask.

        Raises:
            ValueError: no mask has a voxel.
        """
        volumes = np.array([mask.volume for mask in masks])
        filled = np.flatnonzero(volumes)
        if not len(filled):
            raise ValueError("Expected at least one mask with voxels.")
        means = np.full((len(masks), 3 * self.channels), np.nan, np.float32)
        means[filled] = self.masked_means([masks[i] for i in filled.tolist()])
        whole = np.average(means[filled], axis=0, weights=volumes[filled])
        return whole.astype(np.float32), means

    def masked_means(self, masks: Sequence[ParticleMask]) -> np.ndarray:
        """As `masked_mean`, of every mask by itself: (n, 3C) float32.

        Raises:
            ValueError: a mask has no voxel.
        """
        means = np.empty((len(masks), 3 * self.channels), np.float32)
        volumes = np.array([mask.volume for mask in masks])
        if not volumes.all():
            raise ValueError("Expected masks with voxels.")

        def fill(some: np.ndarray) -> None:
            chosen = [masks[index] for index in some]
            offsets = np.array([mask.offset_zyx for mask in chosen])
            sides = np.max([mask.mask.shape for mask in chosen], axis=0)
            voxels = np.zeros((len(chosen), *sides), np.float32)
            for box, mask in zip(voxels, chosen, strict=True):
                box[tuple(map(slice, mask.mask.shape))] = mask.mask
            sums = [view.masked_sums(offsets, voxels) for view in self.views]
            means[some] = np.concatenate(sums, axis=1) / volumes[some, None]
            for view in self.views:
                release(view.tokens)

        order = np.argsort([mask.mask.size for mask in masks], kind="stable")
        side_by_side(fill, [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)])
        return means
