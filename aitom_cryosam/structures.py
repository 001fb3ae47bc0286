"""StructureResult: what one run found of membranes or filaments, and the files it becomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.files import publishing, write_text
from aitom_cryosam.points.formats.relion_warp import write_flavour, write_picks
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.record import SCHEMA, result_paths, stale_files
from aitom_cryosam.report.structure_picture import write_structure_picture
from aitom_cryosam.result import tomogram_entry, versions
from aitom_cryosam.settings import Settings
from aitom_cryosam.source_file import FileStamp, sha256_of
from aitom_cryosam.stages import Stages
from aitom_cryosam.targets import Structures, StructureTarget
from aitom_cryosam.tomogram import Tomogram

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False)
class StructureResult:
    """One run on one tomogram for a kind of structure.

    Attributes:
        tomogram: that was searched.
        target: what was looked for.
        settings: of the job; those of particles mean nothing here.
        structures: that were found.
        stages: seconds and memory.
        warnings: that were given on the way.
        inputs: the files that decided about it.
    """

    tomogram: Tomogram
    target: StructureTarget
    settings: Settings
    structures: Structures
    stages: Stages
    warnings: tuple[str, ...] = ()
    inputs: Mapping[str, FileStamp] = field(default_factory=dict)

    def write(
        self,
        folder: str | Path,
        *,
        star: Sequence[str] = (),
        tilt_series: TiltSeries | None = None,
        picture: bool = False,
        job: Mapping[str, Any] = _NOTHING,
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write points, labels, mask, distances, the run's record and what else is asked for.

        Args:
            folder: made if it is missing.
            star: names in `points.formats.relion_warp.FLAVOURS`.
            tilt_series: pixel size and size of the tilt series, for RELION's flavours.
            picture: also draw a slice with what was found.
            job: what was asked for, as JSON values, for the record.
            overwrite: replace existing files.

        Returns:
            The files by kind, as `record.result_paths`.

        Raises:
            InputError: a file exists, or the folder cannot be written.
        """
        tomogram, found = self.tomogram, self.structures
        paths = result_paths(folder, tomogram.name, star, picture=picture, target=self.target.name)
        stale = stale_files(paths) if overwrite else []
        with publishing(folder, paths, stale=stale, overwrite=overwrite) as drafts:
            write_picks(drafts["picks"], found.points, tomogram)
            labels = found.volume(tomogram)
            tomogram.write_labels(drafts["labels"], labels)
            tomogram.write_volume(drafts["semantic"], (labels > 0).astype(np.int8))
            distance = found.distance_angstrom(tomogram)
            # MRC headers hold no infinity: without a structure all is as far as can be.
            farthest = np.float32(np.linalg.norm(tomogram.shape) * tomogram.voxel_size)
            tomogram.write_volume(drafts["distance"], np.minimum(distance, farthest))
            for flavour in star:
                write_flavour(
                    flavour, drafts[flavour], found.points, tomogram, tilt_series=tilt_series
                )
            if picture:
                write_structure_picture(drafts["picture"], tomogram, found, labels)
            content = {
                "schema": SCHEMA,
                **self.record(),
                "files": {kind: path.name for kind, path in paths.items()},
                "sha256": {kind: sha256_of(path) for kind, path in drafts.items() if kind != "run"},
                "job": dict(job),
            }
            tomogram.check_source()
            write_text(drafts["run"], json.dumps(content, indent=1, default=np.generic.item) + "\n")
        return paths

    def record(self) -> dict[str, Any]:
        """What the run did, for `<stem>_run.json`."""
        prompts, points = self.structures.prompts, self.structures.points
        reasons = [reason for reason in points.reasons if reason]
        return {
            "versions": versions(),
            "target": {"name": self.target.name, **asdict(self.target)},  # type: ignore[call-overload]
            "settings": asdict(self.settings),
            "tomogram": tomogram_entry(self.tomogram),
            "inputs": {role: asdict(stamp) for role, stamp in self.inputs.items()},
            "weights": {},
            "prompts": [
                {
                    "xyz": [round(float(value), 3) for value in point[::-1]],
                    "used": bool(kept),
                    "reason": reason,
                }
                for point, kept, reason in zip(
                    prompts.points_zyx, prompts.kept, prompts.reasons, strict=True
                )
            ],
            "diameter_angstrom": round(2 * self.structures.half_width_angstrom, 1),
            "counts": {
                "structures": self.structures.count,
                "picks": int(points.kept.sum()),
                "left_out": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
            },
            "warnings": list(self.warnings),
            "seconds": {k: round(v, 2) for k, v in self.stages.seconds.items()},
            "peak_megabytes": {k: round(v) for k, v in self.stages.peak_megabytes.items()},
        }
