"""Particles: what one tomogram gives to an average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.averaging.subvolumes import Subvolumes
from aitom_cryosam.averaging.wedge import MissingWedge


@dataclass(frozen=True, eq=False)
class Particles:
    """What one tomogram gives to an average.

    Attributes:
        subvolumes: n boxes around picks, best first.
        wedge: of the tilt series.
        clicks: the boxes around the user's prompts, perhaps none.
        masks: (n, size, size, size) 0 to 1, the picks' instance masks; None if there are none.
    """

    subvolumes: Subvolumes
    wedge: MissingWedge
    clicks: Subvolumes
    masks: np.ndarray | None = None
