"""Lists: what is expected of lists of the most probable proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOO_SHORT = 2
"""First lists, of hardly more than the clicked: none says how many others there are."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What is expected of lists of the most probable proposals.

    Attributes:
        lengths: (l,) of the lists.
        f1: (l,) estimate for each.
    """

    lengths: np.ndarray
    f1: np.ndarray

    @classmethod
    def mean(cls, cuts: Sequence[Cut], trust: int = 0) -> Cut:
        """What several expect on average, of the first one's lengths.

        Args:
            cuts: at least one.
            trust: power of the F1 that each expects of its best list, as which it weighs.
        """
        lengths = cuts[0].lengths
        each = [np.interp(np.log(lengths), np.log(one.lengths), one.f1) for one in cuts]
        weights = [one.expected**trust for one in cuts]
        return cls(lengths, np.average(each, axis=0, weights=weights))

    @property
    def length(self) -> int:
        """Of the list of the best F1."""
        first = min(TOO_SHORT, len(self.lengths) - 1)
        f1 = np.pad(self.f1[first:], 1, mode="edge")  # a peak, not a spike
        return int(self.lengths[first:][np.argmax(f1[:-2] + 2 * f1[1:-1] + f1[2:])])

    @property
    def expected(self) -> float:
        """Estimated F1 of the best list."""
        return float(self.f1.max())

    def expected_of(self, count: int) -> float:
        """Estimated F1 of so many picks."""
        return float(np.interp(np.log(max(count, 1)), np.log(self.lengths), self.f1))
