"""Outcome: an average and its oriented picks as files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.classes import Class
from aitom_cryosam.averaging.fsc import THRESHOLD
from aitom_cryosam.averaging.refinement import Refined
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.beside import stale_files
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing
from aitom_cryosam.masks import labels
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import (
    write_flavour,
    write_picks,
    write_proposals,
)
from aitom_cryosam.points.table import json_of
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.record import Record
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.run_entries import counts, write_run, written
from aitom_cryosam.volumes.mrc import write_volume

_VOLUMES = ("average", "half1", "half2", "mask")


def average_paths(
    folder: str | Path,
    name: str,
    infos: Sequence[TomogramInfo],
    star: Sequence[str] = (),
    classes: int = 1,
) -> dict[str, Path]:
    """The files of an average, by kind.

    Kinds: "average", "half1", "half2", "mask", "fsc", "record", for each class but the first,
    which is the average, `class2` and so on, and for each tomogram's name `NAME oriented` and
    `NAME FLAVOUR`.

    Raises:
        InputError: the name has a slash in it.
    """
    if set(name) & set("/\\"):
        raise InputError(f"Expected a name without slashes, got {name!r}.")
    folder = Path(folder)
    paths = {kind: folder / f"{name}_{_ending(kind)}.mrc" for kind in _VOLUMES}
    paths |= {
        "fsc": folder / f"{name}_average_fsc.png",
        "record": folder / f"{name}_average.json",
    }
    paths |= {f"class{k}": folder / f"{name}_class{k}.mrc" for k in range(2, classes + 1)}
    for info in infos:
        for kind in ("oriented", *star):
            ending = kind if kind == "oriented" else f"oriented_{kind}"
            paths[f"{info.name} {kind}"] = folder / f"{info.name}_{ending}.star"
    return paths


def _ending(kind: str) -> str:
    return kind if kind == "average" else f"average_{kind}"


def write_average(
    paths: Mapping[str, Path],
    average: Average,
    picks: Sequence[Picks],
    infos: Sequence[TomogramInfo],
    record: Mapping[str, Any],
    *,
    classes: Sequence[Class] = (),
    star: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write all files, or none.

    Args:
        paths: of `average_paths`.
        average: protein bright, as RELION has it.
        picks: oriented, one a tomogram.
        infos: of the tomograms.
        record: further entries of the JSON file.
        classes: that the particles were sorted into.
        star: flavours.
        overwrite: replace existing files.

    Raises:
        InputError: a file exists or cannot be written.
    """
    folder = paths["record"].parent
    stale = _of_an_earlier_one(paths) if overwrite else []
    record = {**record, "files": sorted(path.name for path in paths.values())}
    with publishing(folder, paths, stale=stale, overwrite=overwrite) as drafts:
        _write_volumes(drafts, average, record)
        for k, one in enumerate(classes[1:], start=2):
            volume = one.average.volume.astype(np.float32)
            write_volume(drafts[f"class{k}"], volume, voxel_size=average.voxel_size)
        for info, some in zip(infos, picks, strict=True):
            write_picks(drafts[f"{info.name} oriented"], some, info)
            for flavour in star:
                write_flavour(
                    flavour,
                    drafts[f"{info.name} {flavour}"],
                    some,
                    info,
                    tilt_series=info.tilt_series,
                )


def _of_an_earlier_one(paths: Mapping[str, Path]) -> list[Path]:
    """Files of an earlier average of this name that one with these files would leave."""
    try:
        names = [Path(str(name)).name for name in json_of(paths["record"])["files"]]
    except (InputError, OSError, ValueError, KeyError, TypeError):  # none, or it does not say
        return []
    found = [paths["record"].with_name(name) for name in names]
    return [path for path in found if path not in paths.values() and os.path.isfile(path)]


def refined_paths(
    folder: str | Path, name: str, records: Sequence[Record], star: Sequence[str] = ()
) -> dict[str, Path]:
    """The files of a refinement, by kind: an average, and a result for each tomogram.

    A result has the files of `pick` under their names, so that it is read as one; kinds are
    `NAME picks` and so on.
    """
    paths = average_paths(folder, name, [])
    for one in records:
        for kind, path in result_paths(folder, one.info.name, star).items():
            if kind in ("picks", "proposals", "labels", "run", *star) or (
                kind == "query" and kind in one.files and os.path.exists(one.files[kind])
            ):
                paths[f"{one.info.name} {kind}"] = path
    return paths


def write_refined(
    paths: Mapping[str, Path],
    result: Refined,
    sources: Sequence[Source],
    records: Sequence[Record],
    infos: Sequence[TomogramInfo],
    entries: Mapping[str, Any],
    *,
    star: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write all files of a refinement, or none.

    Args:
        paths: of `refined_paths`.
        result: of the refinement.
        sources: that were refined.
        records: of the runs before.
        infos: of the tomograms.
        entries: of the JSON files, beside what the average says of itself.
        star: flavours.
        overwrite: replace existing files.

    Raises:
        InputError: a file exists or cannot be written.
    """
    folder = next(iter(paths.values())).parent
    runs = [paths[f"{info.name} run"] for info in infos] if overwrite else []
    stale = [path for run in runs for path in stale_files({**paths, "run": run})]
    with publishing(folder, paths, stale=stale, overwrite=overwrite) as drafts:
        _write_volumes(drafts, result.average, entries)
        for one, record, info, proposals, masks in zip(
            sources, records, infos, result.proposals, result.masks, strict=True
        ):
            mine = {
                kind.removeprefix(f"{info.name} "): draft
                for kind, draft in drafts.items()
                if kind.startswith(f"{info.name} ")
            }
            write_picks(mine["picks"], proposals, info)
            write_proposals(mine["proposals"], proposals, info)
            believed = set(proposals.ids[proposals.kept].tolist())
            shown = [mask for mask in (*one.masks, *masks) if mask.id in believed and mask.volume]
            # The masks of the run before keep their voxels: they were seen, not put there.
            own = {mask.id for mask in one.masks}
            scored = [replace(mask, score=float(mask.id in own)) for mask in shown]
            one.tomogram.write_labels(mine["labels"], labels(one.tomogram.shape, scored))
            for flavour in star:
                write_flavour(flavour, mine[flavour], proposals, info, tilt_series=info.tilt_series)
            if "query" in mine:
                mine["query"].write_bytes(record.files["query"].read_bytes())
            content = {
                **record.content,
                "counts": counts(
                    proposals, by_clusters=record.by_clusters and bool(result.kept_earlier)
                ),
                **written(mine),
                "refinement": dict(entries),
            }
            write_run(mine["run"], content)


def _write_volumes(
    drafts: Mapping[str, Path], average: Average, entries: Mapping[str, Any]
) -> None:
    volumes = (average.volume, *average.halves, average.mask)
    for kind, volume in zip(_VOLUMES, volumes, strict=True):
        write_volume(drafts[kind], volume.astype(np.float32), voxel_size=average.voxel_size)
    _draw(drafts["fsc"], average)
    text = json.dumps({**described(average), **entries}, indent=1, default=np.generic.item)
    drafts["record"].write_text(text + "\n", encoding="utf-8")


def described(average: Average) -> dict[str, Any]:
    """An average in numbers, for JSON."""
    shells = np.arange(len(average.fsc))
    finite = math.isfinite(average.resolution)
    return {
        "voxel_size_angstrom": average.voxel_size,
        "box_voxels": len(average.volume),
        "particles": average.count,
        "resolution_angstrom": round(average.resolution, 2) if finite else None,
        "resolution_threshold": THRESHOLD,
        "symmetry": average.symmetry.name,
        "median_correlation": round(
            float(np.median(np.concatenate([one.scores for one in average.poses]))), 4
        ),
        "fsc": {
            "frequency_per_angstrom": (shells / average.extent).round(6).tolist(),
            "correlation": average.fsc.round(4).tolist(),
        },
    }


def _draw(path: Path, average: Average) -> None:
    """The FSC curve and the three middle sections of the average, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), facecolor="white", layout="constrained")
    grid = figure.add_gridspec(2, 4)
    axes = figure.add_subplot(grid[:, :2])
    axes.plot(np.arange(len(average.fsc)) / average.extent, average.fsc, lw=2)
    axes.axhline(THRESHOLD, color="0.6", lw=1)
    if math.isfinite(average.resolution):
        axes.axvline(1 / average.resolution, color="0.6", lw=1)
        axes.set_title(f"{average.resolution:.1f} Å at {THRESHOLD}", fontsize=10)
    axes.set(ylim=(-0.1, 1.02), xlabel="frequency (1/Å)", ylabel="FSC of the halves")
    axes.spines[["top", "right"]].set_visible(False)
    middle, shown = len(average.volume) // 2, average.volume * average.mask
    for place, axis, name in zip(
        (grid[0, 2], grid[0, 3], grid[1, 2]), range(3), "zyx", strict=True
    ):
        panel = figure.add_subplot(place)
        panel.imshow(shown.take(middle, axis=axis), cmap="gray", origin="lower")
        panel.set_title(f"across {name}", fontsize=9)
        panel.set_axis_off()
    figure.savefig(path, format="png", dpi=120)
