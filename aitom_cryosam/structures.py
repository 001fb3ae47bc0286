"""StructureResult: what one run found of membranes or filaments, and the files it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.beside import stale_files
from aitom_cryosam.files import publishing
from aitom_cryosam.points.formats.relion_warp import write_flavour, write_picks
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.report.structure_picture import write_structure_picture
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.run_entries import (
    SCHEMA,
    prompt_entries,
    tomogram_entry,
    versions,
    write_run,
    written,
)
from aitom_cryosam.settings import Settings
from aitom_cryosam.source_file import FileStamp
from aitom_cryosam.stages import Stages
from aitom_cryosam.targets.base import Structures, StructureTarget
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
        networks: file and checksum of the weights in use, by model.
    """

    tomogram: Tomogram
    target: StructureTarget
    settings: Settings
    structures: Structures
    stages: Stages
    warnings: tuple[str, ...] = ()
    inputs: Mapping[str, FileStamp] = field(default_factory=dict)
    networks: Mapping[str, dict[str, str]] = field(default_factory=dict)

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
            The files by kind, as `result_files.result_paths`.

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
            content = {**self.record(), **written(drafts), "job": dict(job)}
            tomogram.check_source()
            write_run(drafts["run"], {"schema": SCHEMA, **content})
        return paths

    def record(self) -> dict[str, Any]:
        """What the run did, for `<stem>_run.json`."""
        points = self.structures.points
        return {
            "versions": versions(*(("torch",) if self.networks else ())),
            "target": {"name": self.target.name, **asdict(self.target)},  # type: ignore[call-overload]
            "settings": asdict(self.settings),
            "tomogram": tomogram_entry(self.tomogram),
            "inputs": {role: asdict(stamp) for role, stamp in self.inputs.items()},
            "weights": self.networks,
            "prompts": prompt_entries(self.structures.prompts),
            "diameter_angstrom": round(2 * self.structures.half_width_angstrom, 1),
            "counts": {
                "structures": self.structures.count,
                "picks": int(points.kept.sum()),
                "left_out": dict(sorted(points.left_out.items())),
            },
            "warnings": list(self.warnings),
            **self.stages.rounded(),
        }
