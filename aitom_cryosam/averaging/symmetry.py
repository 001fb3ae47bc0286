"""Symmetry: point groups as rotations, and whether an average has one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError


@dataclass(frozen=True)
class Symmetry:
    """A point group, by its Schoenflies name: C1, C2, ..., D2, D3, ..., T, O, I.

    The axis of highest order is z, and a twofold of D lies on x.

    Raises:
        InputError: no such group.
    """

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"C[1-9]\d?|D[2-9]|D1\d|[TOI]", self.name):
            raise InputError(
                f"Expected a symmetry as C1, C2, ..., D2, D3, ..., T, O or I, got {self.name!r}."
            )

    @cached_property
    def rotations(self) -> Rotation:
        """All of them, the identity first."""
        axis = {} if self.name in ("T", "O", "I") else {"axis": "Z"}
        group = Rotation.create_group(self.name, **axis)
        nearest = int(np.argmin(group.magnitude()))
        rest = [i for i in range(len(group)) if i != nearest]
        return group[[nearest, *rest]]

    def __len__(self) -> int:
        return len(self.rotations)


C1 = Symmetry("C1")
