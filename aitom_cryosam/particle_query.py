"""ParticleQuery: what a clicked particle looks like to an encoder, kept beside the picks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from aitom_cryosam.errors import InputError

_FORMAT = 1
_ARRAYS = ("vector", "prompt_features", "prompts_zyx")


@dataclass(frozen=True, eq=False, kw_only=True)
class ParticleQuery:
    """F_Q of eq. 4, and all that must agree where it is used on another tomogram.

    Attributes:
        vector: (3C,) float32, F_Q.
        prompt_features: (n, 3C) float32, the mean of F over each prompt's mask; NaN without one.
        prompts_zyx: (n, 3) float64, voxels of the tomogram it comes from.
        diameter_angstrom: of the particle.
        voxel_size: Å, of the tomogram it comes from.
        contrast: of protein there, "dark" or "bright".
        pooling: over which voxels of a mask F was averaged, as in `Settings`.
        signature: of the features: encoder, slab and whitening (`TriplanarFeatures.signature`).
    """

    vector: np.ndarray
    prompt_features: np.ndarray
    prompts_zyx: np.ndarray
    diameter_angstrom: float
    voxel_size: float
    contrast: str
    pooling: str
    signature: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write an npz file; the same query gives the same bytes.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "format": _FORMAT,
            "diameter_angstrom": self.diameter_angstrom,
            "voxel_size": self.voxel_size,
            "contrast": self.contrast,
            "pooling": self.pooling,
            "signature": self.signature,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with path.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about, default=np.generic.item)), **arrays)

    @classmethod
    def read(cls, path: Path) -> ParticleQuery:
        """Read what `write` wrote.

        Raises:
            InputError: there is no such file, or it is not a query.
        """
        try:
            with np.load(path) as file:
                about = json.loads(str(file["about"]))
                if about.pop("format") != _FORMAT:
                    raise InputError(f"{path} was written by a newer version of this program.")
                return cls(**about, **{name: file[name] for name in _ARRAYS})
        except FileNotFoundError:
            raise InputError(f"There is no file {path}.") from None
        except InputError:
            raise
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise InputError(f"{path} is not the query of a run ({error}).") from None
