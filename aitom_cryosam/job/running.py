"""Running: from a job to its result, and the result's files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aitom_cryosam import checkpoints, propagator
from aitom_cryosam.doctor import examine
from aitom_cryosam.doctor.header import header_observations
from aitom_cryosam.geometry import as_typed
from aitom_cryosam.job.job import Job
from aitom_cryosam.messages import collected
from aitom_cryosam.networks import check_given
from aitom_cryosam.outputs import check_output
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picker import CryoSAM
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.prompts import read_prompts, read_rejects
from aitom_cryosam.points.tomogram_info import TomogramInfo, warn_of_extents
from aitom_cryosam.progress import Progress
from aitom_cryosam.record import Record
from aitom_cryosam.regions import Regions
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.result import Result
from aitom_cryosam.result_files import volume_bytes
from aitom_cryosam.stages import Stages
from aitom_cryosam.structures import StructureResult
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity

logger = logging.getLogger(__name__)


def run(job: Job, *, progress: Progress | None = None) -> Record:
    """Pick, and write all files.

    Args:
        job: with a folder `out`.
        progress: shown how far each stage is.

    Returns:
        The record of the files.

    Raises:
        InputError: an input cannot be used, or a file exists or cannot be written; then nothing
            is written.
        Cancelled: by `progress`; nothing is written.
    """
    _ = job.files  # before hours of work
    if job.target is not None:
        return write(job, follow(job, progress=progress))
    return write(job, pick(job, progress=progress))


def pick(job: Job, *, progress: Progress | None = None) -> Result:
    """What `run` does before it writes; of `out` it only looks whether it can be written.

    Raises:
        InputError, Cancelled: as for `run`.
    """
    with collected() as warnings:
        inputs = job.stamps()
        tomogram, prompts, regions = _opened(job)
        rejects = read_rejects(
            tomogram,
            job.rejects,
            job.rejects_file,
            coords_angpix=job.coords_angpix,
            tilt_series=job.tilt_series,
        )
        query = None if job.query is None else ParticleQuery.read(job.query)
        if job.settings_note:
            logger.info(job.settings_note)
        _look_at(job, tomogram, prompts)
        picker = CryoSAM(job.settings, resources=job.resources, progress=progress)
        result = picker.pick(
            tomogram, prompts, rejects=rejects, query=query, regions=regions, suggest=job.suggest
        )
    return replace(result, warnings=tuple(warnings), inputs=inputs)


def follow(job: Job, *, progress: Progress | None = None) -> StructureResult:
    """What `run` does before it writes, for a job with a target.

    Raises:
        InputError, Cancelled: as for `run`.
    """
    assert job.target is not None
    stages = Stages()
    with collected() as warnings:
        inputs = job.stamps()
        networks = _outlining(job)
        tomogram, prompts, regions = _opened(job)
        with stages.measure("structures"):
            outliner = propagator.outliner(job.settings, job.resources)
            found = job.target.find(tomogram, prompts, outliner=outliner, progress=progress)
        found = found.within(regions)
        for point in found.prompts.points_zyx[~found.prompts.kept]:
            logger.warning(
                "No %s was found at the prompt %s; it is left out.",
                job.target.name,
                as_typed(point),
            )
    return StructureResult(
        tomogram=tomogram,
        target=job.target,
        settings=job.settings,
        structures=found,
        stages=stages,
        warnings=tuple(warnings),
        inputs=inputs,
        networks=networks,
    )


def _outlining(job: Job) -> dict[str, dict[str, str]]:
    """The weights of the network that outlines the structures, if any; others are named."""
    assert job.target is not None
    models = job.settings.networks
    unused = [model.name for model in models if model.name != job.settings.segmenter]
    if unused:
        logger.warning(
            "A %s is followed without %s, which has no effect.",
            job.target.name,
            " and ".join(unused),
        )
    used = [model for model in models if model.name not in unused]
    check_given(job.resources, [model.name for model in used])
    return checkpoints.used(used, job.resources.checkpoints)


def _opened(job: Job) -> tuple[Tomogram, Picks, Regions | None]:
    """The tomogram, the clicks and where picks may lie; the folder can be written."""
    tomogram = job.open_tomogram()
    warn_of_extents([TomogramInfo.of(tomogram, job.tilt_series)])
    prompts = _prompts(job, tomogram)
    regions = job.regions.of(tomogram) if job.regions.any else None
    if job.out is not None:
        size = volume_bytes(job.files, tomogram.shape)
        check_output(job.out, job.files.values(), size=size, overwrite=job.overwrite)
    return tomogram, prompts, regions


def write(job: Job, result: Result | StructureResult, *, note: str = "") -> Record:
    """Write all files of a job that `pick` has done.

    Args:
        job: with a folder `out`.
        result: of `pick`.
        note: a line below the picture's title.

    Raises:
        InputError: a file exists or cannot be written; none of them is written then.
    """
    array = isinstance(job.tomogram, Tomogram) and job.tomogram.path is None
    extra: dict[str, Any] = {}
    if isinstance(result, Result):
        extra = {"note": note, "suggested": job.suggest > 0}
    paths = result.write(
        job.files["run"].parent,
        star=job.star,
        tilt_series=job.tilt_series,
        picture=job.picture,
        job={} if array else job.to_json(),
        overwrite=job.overwrite,
        **extra,
    )
    record = Record.open(paths["run"])
    return replace(record, known=result.proposals) if isinstance(result, Result) else record


def _look_at(job: Job, tomogram: Tomogram, prompts: Picks) -> None:
    """Warn of what makes a run doubtful, before anything long."""
    given = job.settings.diameter_angstrom
    observed = examine(tomogram, prompts.points_zyx, diameter=given and given / tomogram.voxel_size)
    header = header_observations(tomogram.path, voxel_size=job.voxel_size) if tomogram.path else []
    for seen in (*header, *observed):
        if seen.severity is not Severity.WARNING:
            continue
        todo = "; ".join(filter(None, [seen.remedy, _typed(seen.options)]))
        logger.warning("%s", f"{seen.text} Consider: {todo}." if todo else seen.text)


def _typed(options: Mapping[str, str]) -> str:
    typed = " ".join(f"--{name} {value}" for name, value in options.items())
    named = ", ".join(f"{name} {value}" for name, value in options.items())
    return Remedy.SETTING.said(typed=typed, named=named) if options else ""


def _prompts(job: Job, tomogram: Tomogram) -> Picks:
    if job.query is not None and not job.prompts and job.prompts_file is None:
        return Picks.none()
    return read_prompts(
        tomogram,
        job.prompts,
        job.prompts_file,
        coords_angpix=job.coords_angpix,
        tilt_series=job.tilt_series,
    )
