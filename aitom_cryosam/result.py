"""Result: what one run found, and the files it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.beside import stale_files
from aitom_cryosam.clicks import Worth
from aitom_cryosam.files import publishing, writing
from aitom_cryosam.masks import ParticleMask, labels
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import write_flavour, write_picks, write_proposals
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.report import write_picture
from aitom_cryosam.report.suggestion_picture import write_suggestions
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.run_entries import (
    SCHEMA,
    counts,
    prompt_entries,
    tomogram_entry,
    versions,
    write_run,
    written,
    xyz,
)
from aitom_cryosam.scoring.suggestions import rows_of
from aitom_cryosam.settings import Settings
from aitom_cryosam.source_file import FileStamp
from aitom_cryosam.stages import Stages
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.trace import Trace

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Result:
    """One run on one tomogram.

    Attributes:
        tomogram: that was searched.
        settings: that were asked for.
        diameter_angstrom: of the particle, given or estimated.
        prompts: the user's points; one without a mask is not kept, and says why.
        rejects: places that the user rejected.
        prompt_masks: one a prompt, in their order.
        worth: what each prompt is, likewise.
        query: F_Q of eq. 4, of the prompts and of a query from elsewhere.
        proposals: every proposal, best first, with its verdict.
        masks: the instances of the kept proposals; ids as in `proposals`.
        stages: seconds and memory.
        networks: file and checksum of the weights in use, by model.
        warnings: that were given on the way.
        trace: the prompts' masks and the similarity around one, for a report.
        probability: (D, H, W) float32, that a voxel is of the particle's kind, or None.
        inputs: the files that decided about it, as they were when it began, by what they are.
        by_clusters: clusters decided which proposals are picks, and not their probabilities.
    """

    tomogram: Tomogram
    settings: Settings
    diameter_angstrom: float
    prompts: Picks
    prompt_masks: list[ParticleMask]
    query: ParticleQuery
    proposals: Picks
    masks: list[ParticleMask]
    stages: Stages
    worth: tuple[Worth, ...] = ()
    rejects: Picks = field(default_factory=Picks.none)
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    trace: Trace | None = None
    probability: np.ndarray | None = None
    inputs: Mapping[str, FileStamp] = field(default_factory=dict)
    by_clusters: bool = False

    @property
    def picks(self) -> Picks:
        """The proposals that are believed, best first."""
        return self.proposals.take(self.proposals.kept)

    def labels(self) -> np.ndarray:
        """(D, H, W) integers, the id of the pick in every voxel of its mask, 0 elsewhere."""
        return labels(self.tomogram.shape, self.masks)

    def semantic(self) -> np.ndarray:
        """(D, H, W) int8, 1 in the voxels of the particle's kind: the paper's M."""
        if self.probability is not None:
            return (self.probability >= 0.5).astype(np.int8)
        return (self.labels() > 0).astype(np.int8)

    def _bare_trace(self) -> Trace:
        used = self.prompts.points_zyx[self.prompts.kept]
        middle = (np.array(self.tomogram.shape) - 1) / 2
        return Trace(self.prompt_masks, used[0] if len(used) else middle)

    def write(
        self,
        folder: str | Path,
        *,
        star: Sequence[str] = (),
        tilt_series: TiltSeries | None = None,
        picture: bool = False,
        suggested: bool = False,
        note: str = "",
        job: Mapping[str, Any] = _NOTHING,
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write picks, proposals, labels, query, the run's record and what else is asked for.

        Args:
            folder: made if it is missing.
            star: names in `points.formats.relion_warp.FLAVOURS`.
            tilt_series: pixel size and size of the tilt series, for RELION's flavours.
            picture: also draw two slices with the picks.
            suggested: also list and draw the places to ask about.
            note: a line below the picture's title.
            job: what was asked for, as JSON values, for the record.
            overwrite: replace existing files.

        Returns:
            The files by kind, as `result_files.result_paths`.

        Raises:
            InputError: a file exists, or the folder cannot be written.
        """
        paths = result_paths(
            folder,
            self.tomogram.name,
            star,
            picture=picture,
            suggested=suggested,
            semantic=self.settings.semantic,
        )
        stale = stale_files(paths) if overwrite else []
        with publishing(folder, paths, stale=stale, overwrite=overwrite) as drafts:
            write_picks(drafts["picks"], self.proposals, self.tomogram)
            write_proposals(drafts["proposals"], self.proposals, self.tomogram)
            self.tomogram.write_labels(drafts["labels"], self.labels())
            if "semantic" in drafts:
                self.tomogram.write_volume(drafts["semantic"], self.semantic())
            if self.probability is not None:
                self.tomogram.write_volume(drafts["probability"], self.probability)
            for flavour in star:
                write_flavour(
                    flavour, drafts[flavour], self.proposals, self.tomogram, tilt_series=tilt_series
                )
            with writing(drafts["query"]) as draft:
                self.query.write(draft)
            with writing(drafts["trace"]) as draft:
                (self.trace or self._bare_trace()).write(draft)
            if picture:
                write_picture(drafts["picture"], self, note=note)
            if suggested:
                asked = self.proposals.take(rows_of(self.proposals))
                diameter = self.diameter_angstrom / self.tomogram.voxel_size
                write_proposals(drafts["suggested"], asked, self.tomogram)
                write_suggestions(drafts["suggested_picture"], self.tomogram, asked, diameter)
            content = {**self.record(), **written(drafts), "job": dict(job)}
            self.tomogram.check_source()  # the checksum is that of what was read
            write_run(drafts["run"], {"schema": SCHEMA, **content})
        return paths

    def record(self) -> dict[str, Any]:
        """What the run did, for `<stem>_run.json`."""
        return {
            "versions": versions(*(("torch", "timm") if self.networks else ())),
            "settings": asdict(self.settings),
            "tomogram": tomogram_entry(self.tomogram),
            "inputs": {role: asdict(stamp) for role, stamp in self.inputs.items()},
            "weights": self.networks,  # the embedded models have none
            "prompts": [
                {
                    **entry,
                    "mask_voxels": mask.volume,
                    "mask_is_ball": mask.is_ball,
                    "walks": mask.stops,
                    **asdict(worth),
                }
                for entry, mask, worth in zip(
                    prompt_entries(self.prompts),
                    self.prompt_masks,
                    self.worth or [Worth()] * len(self.prompts),
                    strict=True,
                )
            ],
            "rejects": [{"xyz": xyz(point)} for point in self.rejects.points_zyx],
            "diameter_angstrom": round(self.diameter_angstrom, 1),
            "diameter_estimated": self.settings.diameter_angstrom is None,
            "counts": counts(self.proposals, by_clusters=self.by_clusters),
            "balls": [mask.id for mask in self.masks if mask.is_ball],
            "warnings": list(self.warnings),
            **self.stages.rounded(),
        }
