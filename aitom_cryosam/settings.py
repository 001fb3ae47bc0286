"""What a run is told to do. Lengths in Å; nothing here depends on a voxel size."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from aitom_cryosam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All switches of the method.

    Attributes:
        preset: the name these settings came from.
        encoder: plane encoder, a key of `encoders.ENCODERS`.
        segmenter: plane segmenter, a key of `segmenters.SEGMENTERS`.
        diameter: of the particle, Å; None to estimate it from the prompts.
        max_diameter: of the largest particle an estimate may give, Å.
        tau_iou: smallest overlap of the masks of adjacent planes of a walk.
        merge: how the three axes' masks become one: "union" (paper) or "consensus".
        tau_sim: cosine similarity below which a cell is dropped, with all that lies in it.
        ratios: pyramid levels in voxels, coarse to fine; (1,) for naive matching.
        top_k: number of proposals.
        slab: planes averaged before they are encoded, in particle radii; 0 encodes every plane.
        shrinkage: of the whitening of the features over the tomogram, 0 to 1; None for none.
        cut: which proposals become picks: "auto" (see `scoring.background_cut`), "none" for all,
            or a score.

    Raises:
        InputError: a value is out of its range.
    """

    preset: str = "embedded"
    encoder: str = "filterbank"
    segmenter: str = "contour"
    diameter: float | None = None
    max_diameter: float = 500.0
    tau_iou: float = 0.5
    merge: Literal["union", "consensus"] = "consensus"
    tau_sim: float = 0.0
    ratios: tuple[int, ...] = (16, 8, 4)
    top_k: int = 512
    slab: float = 0.25
    shrinkage: float | None = 0.1
    cut: float | Literal["auto", "none"] = "auto"
