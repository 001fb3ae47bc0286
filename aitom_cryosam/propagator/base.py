"""What makes instance masks of points: the seam between the picker and the walks."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.progress import Progress
from aitom_cryosam.tomogram import Tomogram


class Propagator(Protocol):
    """Point prompts to 3D instance masks (paper section 2.1), by walks or by a video model."""

    def propagate(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """One mask per prompt, which does not depend on the other prompts.

        Args:
            tomogram: the tomogram.
            points_zyx: (n, 3) fractional voxels.
            progress: called with the stage, the steps that are done and their number.
            stage: what the masks are made for.

        Returns:
            n masks in the order of the prompts, with ids from 1; an empty one, whose `stops`
            say why, for a prompt that yields nothing.
        """

    def start(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """The beginnings of these masks, in a fraction of the time: to be shown until they come.

        Arguments as for `propagate`. Nothing is said about why a mask ends.
        """
