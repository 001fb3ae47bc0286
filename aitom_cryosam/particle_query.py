"""ParticleQuery: what clicked particles look like to an encoder, for any tomogram."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.npz import reading_npz, write_npz
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.signatures import flat

_FORMAT = 2
_ARRAYS = (
    *("vector", "prompt_features", "prompts_zyx"),
    *("instances", "shapes", "rejected", "rejected_shapes"),
)
_LENGTHS = ("encoder.radius", "encoder.token", "slab")
"""Of a signature: they follow the particle's size in voxels, which may differ."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ParticleQuery:
    """F_Q of eq. 4, and all that must agree where it is used on another tomogram.

    Attributes:
        vector: (3C,) float32, F_Q.
        prompt_features: (n, 3C) float32, the mean of F over each prompt's mask; NaN without one.
        prompts_zyx: (n, 3) float64, voxels of the tomogram it comes from.
        instances: (p, k, 3C) float32, the prompted instances as the verdict sees them.
        shapes: (p, h) float32, the powers of their spherical harmonics; none of an earlier
            version.
        rejected: (r, k, 3C) float32, the same of places that are said to be something else.
        rejected_shapes: (r, h) float32, the same; none of an earlier version.
        diameter_angstrom: of the particle.
        voxel_size: Å, of the tomogram it comes from.
        contrast: of protein there, "dark" or "bright".
        sources: names of the tomograms it comes from.
        pooling: over which voxels of a mask F was averaged, as in `Settings`.
        signature: of the features: encoder, slab and whitening (`TriplanarFeatures.signature`).
        aside: the same particles at diameters a little apart (`particle_size.ASIDE`), for the
            searches that decide together; none where one search was enough.
    """

    vector: np.ndarray
    prompt_features: np.ndarray
    prompts_zyx: np.ndarray
    instances: np.ndarray
    shapes: np.ndarray
    rejected: np.ndarray
    rejected_shapes: np.ndarray
    diameter_angstrom: float
    voxel_size: float
    contrast: str
    pooling: str
    signature: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    aside: tuple[ParticleQuery, ...] = ()

    @classmethod
    def merged(cls, queries: Sequence[ParticleQuery]) -> ParticleQuery:
        """One query of all, in which every click counts alike; the place is the first one's.

        Raises:
            InputError: they come from other features, or of another contrast.
        """
        first = queries[0]
        if len(queries) == 1:
            return first
        for other in queries[1:]:
            other.require(first.signature, first.contrast, first.pooling)
        clicks = [len(query.instances) for query in queries]
        rejected = [query.rejected for query in queries]
        vector = np.average([query.vector for query in queries], axis=0, weights=clicks)
        return replace(
            first,
            vector=vector.astype(np.float32),
            prompt_features=np.concatenate([query.prompt_features for query in queries]),
            prompts_zyx=np.concatenate([query.prompts_zyx for query in queries]),
            instances=np.concatenate([query.instances for query in queries]),
            shapes=_of_all([query.shapes for query in queries]),
            rejected=np.concatenate(rejected),
            rejected_shapes=_of_all_rejected(
                rejected, [query.rejected_shapes for query in queries]
            ),
            diameter_angstrom=float(
                np.average([query.diameter_angstrom for query in queries], weights=clicks)
            ),
            sources=tuple(dict.fromkeys(name for query in queries for name in query.sources)),
            aside=tuple(map(cls.merged, zip(*(query.aside for query in queries), strict=False))),
        )

    def at(self, diameter_angstrom: float) -> ParticleQuery:
        """The one whose diameter is nearest, in Å."""

        def off(query: ParticleQuery) -> float:
            return abs(math.log(query.diameter_angstrom / diameter_angstrom))

        return min((self, *self.aside), key=off)

    def rejecting(self, instances: np.ndarray, shapes: np.ndarray) -> ParticleQuery:
        """The same with further instances, (r, k, 3C), of something else; shapes (r, h)."""
        if not len(instances):
            return self
        return replace(
            self,
            aside=(),  # in which these are not
            rejected=np.concatenate([self.rejected, instances]),
            rejected_shapes=_of_all_rejected(
                [self.rejected, instances], [self.rejected_shapes, shapes]
            ),
        )

    def require(
        self, signature: Mapping[str, Any], contrast: str, pooling: str, *, whole: bool = True
    ) -> None:
        """Refuse features that the query cannot be compared with. Lengths may differ.

        Args:
            signature: of the features to search.
            contrast: of the tomogram to search.
            pooling: that the run was asked for.
            whole: whether the signature says all; else what it says must agree.

        Raises:
            InputError: naming what the query has and what was found.
        """
        if contrast != self.contrast:
            raise InputError(
                f"The query is of {self.contrast} protein, but in this tomogram protein is said to "
                f"be {contrast}",
                Remedy.QUERY_CONTRAST,
                contrast=self.contrast,
            )
        ours, theirs = flat(self.signature), flat(signature)
        ours["pooling"], theirs["pooling"] = self.pooling, pooling
        for key in dict.fromkeys((*ours, *theirs) if whole else theirs):
            if key not in _LENGTHS and ours.get(key) != theirs.get(key):
                raise InputError(
                    f"The query was made with {key} {ours.get(key)}, this run has "
                    f"{theirs.get(key)}; run with the query's settings, or make it again."
                )

    def _whole(self) -> bool:
        """Whether the arrays go together."""
        channels = self.vector.shape[-1]
        return bool(
            self.vector.shape == (channels,)
            and self.prompt_features.ndim == 2
            and self.instances.ndim == 3
            and {self.prompt_features.shape[-1], self.instances.shape[-1]} == {channels}
            and self.rejected.shape[1:] == self.instances.shape[1:]
            and np.isfinite(self.rejected).all()
            and self.rejected_shapes.ndim == 2
            and np.isfinite(self.rejected_shapes).all()
            and self.shapes.ndim == 2
            and np.isfinite(self.shapes).all()
            and np.isfinite(self.vector).all()
            and np.isfinite(self.instances).all()
            and self.diameter_angstrom > 0
        )

    def write(self, path: Path) -> None:
        """Write an npz file; the same query gives the same bytes.

        Raises:
            OSError: it cannot be written.
        """
        about = {**self._about, "aside": [one._about for one in self.aside]}
        arrays = {
            _prefix(number) + name: getattr(query, name)
            for number, query in enumerate((self, *self.aside))
            for name in _ARRAYS
        }
        write_npz(path, about, arrays, version=_FORMAT)

    @property
    def _about(self) -> dict[str, Any]:
        """What is no array."""
        return {
            "diameter_angstrom": self.diameter_angstrom,
            "voxel_size": self.voxel_size,
            "contrast": self.contrast,
            "pooling": self.pooling,
            "signature": self.signature,
            "sources": self.sources,
        }

    @classmethod
    def read(cls, path: str | Path) -> ParticleQuery:
        """Read what `write` wrote.

        Raises:
            InputError: there is no such file, or it is not a query.
        """
        with reading_npz(Path(path), "the query of a run", version=_FORMAT) as (about, arrays):
            each = [about, *about.pop("aside", [])]
            query, *aside = (cls._of(one, arrays, number) for number, one in enumerate(each))
            if not all(one._whole() for one in (query, *aside)):
                raise InputError(f"{path} is damaged: its arrays do not match.")
            return replace(query, aside=tuple(aside))

    @classmethod
    def _of(
        cls, about: dict[str, Any], arrays: Mapping[str, np.ndarray], number: int
    ) -> ParticleQuery:
        """One of the queries of a file."""
        prefix = _prefix(number)
        found: dict[str, Any] = {
            name: arrays[prefix + name] for name in _ARRAYS if prefix + name in arrays
        }
        found.setdefault("rejected", found["instances"][:0])  # earlier ones have none
        found.setdefault("shapes", np.zeros((0, 0), np.float32))
        found.setdefault("rejected_shapes", found["shapes"][:0])
        return cls(**{**about, "sources": tuple(about["sources"])}, **found)


def _prefix(number: int) -> str:
    """What the names of a query's arrays begin with in a file; the first has none."""
    return f"aside{number}_" if number else ""


def _of_all(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of all, (p, h); none where some have none."""
    return np.concatenate(rows) if all(len(some) for some in rows) else rows[0][:0]


def _of_all_rejected(rejected: Sequence[np.ndarray], shapes: Sequence[np.ndarray]) -> np.ndarray:
    """(r, h) of all rejected places; none where those of some were not measured."""
    some = [rows for places, rows in zip(rejected, shapes, strict=True) if len(places)]
    return _of_all(some or shapes[:1])
