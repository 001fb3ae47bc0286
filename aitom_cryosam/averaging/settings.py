"""AveragingSettings: how particles are aligned and averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aitom_cryosam.averaging import ITERATIONS, STEP
from aitom_cryosam.averaging.symmetry import C1, Symmetry
from aitom_cryosam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class AveragingSettings:
    """How to average.

    Attributes:
        diameter: Å, of the particle.
        iterations: rounds of alignment and averaging, at least 1.
        step: degrees, of the first search over all turns; a fifth less in each round after it, but
            12 at least.
        share: of the particles that is averaged, those that correlate best; all if it is below 10.
        symmetry: of the particle; its axes are looked for in the average. None looks for one too.
        device: of torch.

    Raises:
        InputError: a value outside of what makes sense.
    """

    diameter: float
    iterations: int = ITERATIONS
    step: float = STEP
    share: float = 1.0
    symmetry: Symmetry | None = C1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 < self.diameter < math.inf:
            raise InputError(f"Expected a diameter above 0 Å, got {self.diameter:g}.")
        if self.iterations < 1:
            raise InputError(f"Expected 1 iteration or more, got {self.iterations}.")
        if not 5 <= self.step <= 90:
            raise InputError(f"Expected an angular step from 5 to 90 degrees, got {self.step:g}.")
        if not 0 < self.share <= 1:
            raise InputError(f"Expected a share above 0, at most 1, got {self.share:g}.")
