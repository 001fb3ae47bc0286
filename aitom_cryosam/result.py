"""Result: what one run found, and the files it becomes."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aitom_cryosam.files import output_folder, refuse_existing, write_text
from aitom_cryosam.masks import ParticleMask, labels
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import (
    TiltSeries,
    write_flavour,
    write_picks,
    write_proposals,
)
from aitom_cryosam.settings import Settings
from aitom_cryosam.stages import Stages
from aitom_cryosam.tomogram import Tomogram


@dataclass(frozen=True, eq=False)
class Result:
    """One run on one tomogram.

    Attributes:
        tomogram: that was searched.
        settings: that were asked for.
        diameter: Å, given or estimated.
        prompts: the user's points; one without a mask is not kept, and says why.
        prompt_masks: one a prompt, in their order.
        query: (3C,) float32, F_Q of eq. 4.
        proposals: every proposal, best first, with its verdict.
        masks: the instances of the kept proposals; ids as in `proposals`.
        stages: seconds and memory.
        networks: file and checksum of the weights in use, by model.
    """

    tomogram: Tomogram
    settings: Settings
    diameter: float
    prompts: Picks
    prompt_masks: list[ParticleMask]
    query: np.ndarray
    proposals: Picks
    masks: list[ParticleMask]
    stages: Stages
    networks: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def picks(self) -> Picks:
        """The proposals that are believed, best first."""
        return self.proposals.take(self.proposals.kept)

    def labels(self) -> np.ndarray:
        """(D, H, W) int32, the id of the pick in every voxel of its mask, 0 elsewhere."""
        return labels(self.tomogram.shape, self.masks)

    def write(
        self,
        folder: str | Path,
        *,
        star: Sequence[str] = (),
        tilt_series: TiltSeries | None = None,
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write picks, proposals, labels, the run's record and further STAR flavours.

        Args:
            folder: made if it is missing.
            star: names in `io.star.FLAVOURS`.
            tilt_series: pixel size and size of the tilt series, for RELION's flavours.
            overwrite: replace existing files.

        Returns:
            The files by kind: "picks", "proposals", "labels", the flavours, "run".

        Raises:
            InputError: a file exists, or the folder cannot be written.
        """
        paths = result_paths(folder, self.tomogram.name, star)
        output_folder(folder)
        refuse_existing(paths.values(), overwrite=overwrite)
        # All of them are complete before the first takes its place: a full disk leaves none.
        with TemporaryDirectory(prefix=".cryosam-", dir=folder) as unfinished:
            drafts = {kind: Path(unfinished) / path.name for kind, path in paths.items()}
            write_picks(drafts["picks"], self.proposals, self.tomogram)
            write_proposals(drafts["proposals"], self.proposals, self.tomogram)
            self.tomogram.write_labels(drafts["labels"], self.labels())
            for flavour in star:
                write_flavour(
                    flavour, drafts[flavour], self.proposals, self.tomogram, tilt_series=tilt_series
                )
            write_text(
                drafts["run"], json.dumps(self.record(), indent=1, default=np.generic.item) + "\n"
            )
            for kind, path in paths.items():
                drafts[kind].replace(path)
        return paths

    def record(self) -> dict[str, Any]:
        """What the run did, for `<stem>_run.json`."""
        reasons = [reason for reason in self.proposals.reasons if reason]
        return {
            "versions": {
                "aitom_cryosam": _version("aitom-cryosam"),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "scipy": _version("scipy"),
                **({"torch": _version("torch"), "timm": _version("timm")} if self.networks else {}),
            },
            "settings": asdict(self.settings),
            "tomogram": {
                "path": str(self.tomogram.path) if self.tomogram.path else None,
                "name": self.tomogram.name,
                "shape_zyx": self.tomogram.shape,
                "voxel_size_angstrom": self.tomogram.voxel_size,
                "contrast": self.tomogram.contrast,
                "sha256": self.tomogram.digest(),
            },
            "weights": self.networks,  # the embedded models have none
            "prompts": [
                {
                    "xyz": [round(float(value), 3) for value in point[::-1]],
                    "used": bool(kept),
                    "reason": reason,
                    "mask_voxels": mask.volume,
                    "walks": mask.stops,
                }
                for point, kept, reason, mask in zip(
                    self.prompts.points_zyx,
                    self.prompts.kept,
                    self.prompts.reasons,
                    self.prompt_masks,
                    strict=True,
                )
            ],
            "diameter_angstrom": round(self.diameter, 1),
            "diameter_estimated": self.settings.diameter is None,
            "counts": {
                "proposals": len(self.proposals),
                "picks": len(self.picks),
                "left_out": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
            },
            "seconds": {k: round(v, 2) for k, v in self.stages.seconds.items()},
            "peak_megabytes": {k: round(v) for k, v in self.stages.peak_megabytes.items()},
        }


def result_paths(folder: str | Path, name: str, star: Sequence[str] = ()) -> dict[str, Path]:
    """The files that `Result.write` makes for a tomogram of this name, by kind."""
    kinds = {"picks": "picks.star", "proposals": "proposals.star", "labels": "labels.mrc"}
    kinds |= {flavour: f"{flavour}.star" for flavour in star} | {"run": "run.json"}
    return {kind: Path(folder) / f"{name}_{ending}" for kind, ending in kinds.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # used from its folder
        return "not installed"
