"""Where a run was wrong, by known positions: the paper's figure 6 from the user's own data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.evaluation.points import Evaluation, evaluate
from aitom_cryosam.picks import Picks
from aitom_cryosam.report.gallery import Group, Tiles

SHOWN = 8


@dataclass(frozen=True)
class Failures:
    """Picks against truth.

    Attributes:
        evaluation: of the picks.
        groups: tiles of each kind of failure.
    """

    evaluation: Evaluation
    groups: list[Group]


def failures(
    tiles: Tiles, proposals: Picks, truth: Picks, *, radius: float, voxel_size: float
) -> Failures:
    """False positives and negatives, in the proposals and in the picks.

    Args:
        tiles: of the tomogram.
        proposals: with their verdict.
        truth: the known positions, voxels.
        radius: Å, of the matching.
        voxel_size: Å.
    """
    proposed = evaluate(proposals, truth, radius=radius, voxel_size=voxel_size)
    chosen = np.flatnonzero(proposals.kept)
    picked = evaluate(proposals.take(chosen), truth, radius=radius, voxel_size=voxel_size)
    wrong = np.flatnonzero(~proposed.paired)
    found = dict(zip(proposed.pairs[:, 1].tolist(), proposed.pairs[:, 0].tolist(), strict=True))
    missed = np.setdiff1d(np.arange(len(truth)), proposed.pairs[:, 1])
    lost = [
        found[one]
        for one in np.setdiff1d(np.arange(len(truth)), picked.pairs[:, 1]).tolist()
        if one in found and not proposals.kept[found[one]]
    ]
    unscored = Picks.from_points(truth.points_zyx)
    groups = [
        tiles.group(
            "False positives among the proposals", "nothing known is there", proposals, wrong, SHOWN
        ),
        tiles.group(
            "False negatives among the proposals", "known, not proposed", unscored, missed, SHOWN
        ),
        tiles.group(
            "False negatives among the picks",
            "known and proposed, but left out",
            proposals,
            np.array(sorted(lost), np.int64),
            SHOWN,
        ),
    ]
    return Failures(picked, [group for group in groups if group.tiles])
