"""What a run is told to do. Lengths in Å; nothing here depends on a voxel size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

from aitom_cryosam.errors import InputError
from aitom_cryosam.models import ENCODERS, SEGMENTERS

PAPER_RATIOS = (16, 8, 4)
MIN_WINDOW = 2.0
"""Diameters: a smaller window would not show a particle's surroundings."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All switches of the method.

    Attributes:
        preset: the name these settings came from.
        encoder: plane encoder, one of `models.ENCODERS`.
        segmenter: plane segmenter, one of `models.SEGMENTERS`.
        diameter: of the particle, Å; None to estimate it from the prompts.
        max_diameter: of the largest particle an estimate may give, Å.
        tau_iou: smallest overlap of the masks of adjacent planes of a walk.
        merge: how the three axes' masks become one: "union" (paper) or "consensus".
        tau_sim: cosine similarity below which a cell is dropped, with all that lies in it.
        ratios: pyramid levels in voxels, coarse to fine; (1,) for naive matching; "auto" for
            those of (16, 8, 4) whose cells are no larger than the particle's radius.
        top_k: number of proposals.
        pooling: over which voxels of a prompt's mask the query is averaged (eq. 4): "mask" for
            all of them (paper), "core" for those within half a radius of its middle.
        slab: planes averaged before they are encoded, in particle radii; 0 encodes every plane.
        shrinkage: of the whitening of the features over the tomogram, 0 to 1; None for none.
        normalisation: of the planes for a network encoder: by the tomogram's own mean and
            deviation ("tomogram", as the paper's authors do) or ImageNet's ("imagenet").
        token_size: Å of tomogram that one token of a network encoder stands for, the planes
            being cut into tiles of the network's size; None fits a whole plane into it (paper).
        window: side of the window around a particle that SAM sees, in diameters; None shows it
            the whole plane (paper).
        cut: which proposals become picks: "auto" (see `scoring.judge`), "none" for all,
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
    ratios: tuple[int, ...] | Literal["auto"] = "auto"
    top_k: int = 512
    pooling: Literal["mask", "core"] = "core"
    slab: float = 0.25
    shrinkage: float | None = 0.1
    normalisation: Literal["tomogram", "imagenet"] = "tomogram"
    token_size: float | None = None
    window: float | None = None
    cut: float | Literal["auto", "none"] = "auto"

    def __post_init__(self) -> None:
        checks = {
            "encoder": (self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"),
            "segmenter": (self.segmenter in SEGMENTERS, f"one of {', '.join(SEGMENTERS)}"),
            "diameter": (self.diameter is None or _positive(self.diameter), "a length above 0 Å"),
            "max_diameter": (_positive(self.max_diameter), "a length above 0 Å"),
            "tau_iou": (_between(self.tau_iou, 0, 1), "a number from 0 to 1"),
            "merge": (self.merge in ("union", "consensus"), "union or consensus"),
            "tau_sim": (_between(self.tau_sim, -1, 1), "a number from -1 to 1"),
            "ratios": (
                self.ratios == "auto" or _falling(self.ratios),
                "whole numbers from 1 that fall, as (16, 8, 4), or auto",
            ),
            "top_k": (_count(self.top_k), "a whole number from 1"),
            "pooling": (self.pooling in ("mask", "core"), "mask or core"),
            "slab": (_between(self.slab, 0, 2), "a number of radii from 0 to 2"),
            "shrinkage": (
                self.shrinkage is None or _between(self.shrinkage, 0, 1),
                "a number from 0 to 1, or None",
            ),
            "normalisation": (
                self.normalisation in ("tomogram", "imagenet"),
                "tomogram or imagenet",
            ),
            "token_size": (
                self.token_size is None or _positive(self.token_size),
                "a length above 0 Å, or None",
            ),
            "window": (
                self.window is None or (_positive(self.window) and self.window >= MIN_WINDOW),
                f"a number of diameters from {MIN_WINDOW:g}, or None",
            ),
            "cut": (self.cut in ("auto", "none") or _finite(self.cut), "auto, none or a score"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise InputError(f"Expected {expected} as {name}, got {getattr(self, name)!r}.")


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _between(value: Any, low: float, high: float) -> bool:
    return _finite(value) and low <= value <= high


def _positive(value: Any) -> bool:
    return _finite(value) and value > 0


def _count(value: Any) -> bool:
    return isinstance(value, Integral) and _positive(value)


def _falling(values: Any) -> bool:
    """Whether it is a tuple of strictly falling counts."""
    return (
        isinstance(values, tuple)
        and len(values) > 0
        and all(map(_count, values))
        and all(high > low for high, low in pairwise(values))
    )


PRESETS = {
    "embedded": Settings(),
    "paper": Settings(
        preset="paper",
        encoder="dinov2_vitl14_reg",
        segmenter="sam_vit_h",
        merge="union",
        tau_sim=0.5,
        ratios=PAPER_RATIOS,
        pooling="mask",
        slab=0,
        shrinkage=None,
    ),
}
"""The settings by the names that a user gives to `--preset`."""
