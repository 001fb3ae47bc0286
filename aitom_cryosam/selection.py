"""Selection: other picks from the proposals of a run, without running anything again."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.beside import stale_files
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing
from aitom_cryosam.masks import ParticleMask, labels_of
from aitom_cryosam.picks import BELOW_CUT, Picks
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.formats.relion_warp import write_flavour, write_picks, write_proposals
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.record import Record
from aitom_cryosam.regions import RegionRules, located
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.run_entries import counts, write_run, written
from aitom_cryosam.scoring.rejects import BY_HAND
from aitom_cryosam.settings import check_fdr
from aitom_cryosam.volumes.mrc import label_type, write_volume
from aitom_cryosam.volumes.reading import read_volume

logger = logging.getLogger(__name__)

_SAME = 0.5
"""Radii: a curated point so close to a proposal is that proposal, if the file has no ids."""
_COPIED = ("query", "trace")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of a run's proposals are picks now. What is not given stays as it was.

    Attributes:
        cut: the least score of a pick, in place of the run's verdict.
        fdr: the largest share of false picks that the probabilities let expect, likewise.
        top: the most picks, the best ones.
        regions: where picks may lie.
        reject_ids: instances that are no picks.
        keep: file of curated points of any program; what is not in it is no pick.

    Raises:
        InputError: a value makes no sense.
    """

    cut: float | None = None
    fdr: float | None = None
    top: int | None = None
    regions: RegionRules = field(default_factory=RegionRules)
    reject_ids: frozenset[int] = frozenset()
    keep: Path | None = None

    def __post_init__(self) -> None:
        if self.cut is not None and not (isinstance(self.cut, Real) and np.isfinite(self.cut)):
            raise InputError(f"Expected a score as cut, got {self.cut!r}.")
        if self.top is not None and not (isinstance(self.top, Integral) and int(self.top) >= 1):
            raise InputError(f"Expected a number of picks from 1, got {self.top!r}.")
        check_fdr(self.fdr, beside=self.cut)

    def of(self, record: Record, tilt_series: TiltSeries | None = None) -> Picks:
        """The proposals of a run with their new verdict, best first; ids and columns stay.

        Args:
            record: of the run.
            tilt_series: of its tomogram, where the curated points are in pixels of it, or in Å
                from its centre.

        Raises:
            InputError: a file cannot be used, an id is not known, or the run has no probabilities.
        """
        record.expect_particles("a selection")
        proposals = record.proposals
        if not self.keeps_verdict:
            proposals = proposals.reopened()
        if self.cut is not None:
            proposals = proposals.reject(proposals.scores < self.cut, BELOW_CUT)
        if self.fdr is not None:
            if proposals.probabilities is None:
                raise InputError(
                    f"{record.path} has no probabilities, so that false picks cannot be counted; "
                    "select by a cut."
                )
            proposals = proposals.reject(proposals.beyond(self.fdr), BELOW_CUT)
        if self.regions.any:
            proposals = located(proposals, self.regions.of(record.tomogram()))
        if self.reject_ids:
            unknown = self.reject_ids - set(proposals.ids.tolist())
            if unknown:
                raise InputError(
                    f"{record.info.name} has no instance {min(unknown)}; expected numbers of "
                    f"column cryosamInstanceId in {record.files['proposals'].name}."
                )
            proposals = proposals.reject(np.isin(proposals.ids, list(self.reject_ids)), BY_HAND)
        if self.keep is not None:
            proposals = proposals.reject(
                ~_listed(proposals, self.keep, record, tilt_series), "not curated"
            )
        if self.top is not None:
            best = np.flatnonzero(proposals.kept)[self.top :]
            proposals = proposals.reject(best, "beyond the best")
        return proposals

    @property
    def keeps_verdict(self) -> bool:
        """Whether only picks of the run can be picks."""
        return self.cut is None and self.fdr is None

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the record."""
        return {
            "cut": self.cut,
            "fdr": self.fdr,
            "top": self.top,
            "regions": self.regions.to_json(),
            "reject_ids": sorted(self.reject_ids),
            "keep": None if self.keep is None else str(self.keep),
        }


def write_selection(
    record: Record,
    selection: Selection,
    proposals: Picks,
    folder: str | Path,
    *,
    masks: Sequence[ParticleMask] = (),
    star: Sequence[str] = (),
    tilt_series: TiltSeries | None = None,
    overwrite: bool = False,
) -> Record:
    """Write the picks that a selection leaves of a run, as a result of their own.

    Proposals that the run left out have no labels, but for those whose masks are given.

    Args:
        record: of the run; stays as it is.
        selection: which proposals are picks.
        proposals: what the selection made of the run's.
        folder: of the new result.
        masks: of picks that the run left out; ids as in `proposals`.
        star: names in `points.formats.relion_warp.FLAVOURS`.
        tilt_series: pixel size and size of the tilt series, for RELION's flavours.
        overwrite: replace existing files.

    Raises:
        InputError: the run's files are not of one run, or a file cannot be read or written.
    """
    record.check()
    record.expect_particles("a selection")
    paths = result_paths(folder, record.info.name, star)
    there = [kind for kind, path in record.files.items() if os.path.exists(path)]
    kept = {kind: path for kind, path in paths.items() if kind in there}
    paths = {kind: path for kind, path in paths.items() if kind in kept or kind in star}
    stale = stale_files(paths) if overwrite else []
    with publishing(folder, paths, stale=stale, overwrite=overwrite) as drafts:
        write_picks(drafts["picks"], proposals, record.info)
        write_proposals(drafts["proposals"], proposals, record.info)
        for flavour in star:
            write_flavour(flavour, drafts[flavour], proposals, record.info, tilt_series=tilt_series)
        _write_labels(drafts["labels"], record, proposals.ids[proposals.kept], masks)
        for kind in _COPIED:
            if kind in drafts:
                drafts[kind].write_bytes(record.files[kind].read_bytes())
        content = {
            **record.content,
            "counts": counts(proposals, by_clusters=selection.keeps_verdict and record.by_clusters),
            "balls": sorted(record.balls | {mask.id for mask in masks if mask.is_ball}),
            "selection": {"from": str(record.path), **selection.to_json()},
            **written(drafts),
        }
        write_run(drafts["run"], content)
    return Record.open(paths["run"])


def _listed(
    proposals: Picks, path: Path, record: Record, tilt_series: TiltSeries | None
) -> np.ndarray:
    """(n,) bool: whether each proposal is in a curated file, by its id, else by its place."""
    info = record.info
    file = read_points(
        path,
        voxel_size=info.voxel_size,
        shape_zyx=info.shape_zyx,
        tilt_series=tilt_series,
        tomogram=info.path,
        noted_shift=info.noted_shift,
    )
    if not len(file.picks):
        raise InputError(f"{path} holds no points; expected those to keep.")
    if file.names:
        file = of_tomogram(file, record.info.name)
    listed = np.zeros(len(proposals), bool)
    if not (len(proposals) and len(file.picks)):
        return listed
    radius = record.diameter_angstrom / 2 / record.info.known_voxel_size("A curated file")
    points = file.picks.points_zyx
    if file.has_ids:  # which another run has given, too, to other places
        order = np.argsort(proposals.ids)
        rows = order[np.searchsorted(proposals.ids, file.picks.ids, sorter=order) % len(order)]
        gaps = np.linalg.norm(points - proposals.points_zyx[rows], axis=1)
        same = (proposals.ids[rows] == file.picks.ids) & (gaps <= radius)
    else:
        gaps, rows = cKDTree(proposals.points_zyx).query(points)
        same = gaps <= _SAME * radius
    listed[rows[same]] = True
    _tell_strange(path, ~same)
    return listed


def _tell_strange(path: Path, strange: np.ndarray) -> None:
    """Warn of (k,) curated points that are no proposals: they cannot become picks."""
    if strange.any():
        count = f"{int(strange.sum())} of {len(strange)}"
        logger.warning(
            "%s: %s points are not among the run's proposals, and are left out.", path, count
        )


def _write_labels(
    path: Path, record: Record, ids: np.ndarray, masks: Sequence[ParticleMask]
) -> None:
    """The labels of the run, those of picks alone, and new masks where there are none."""
    volume = read_volume(record.files["labels"], voxel_size=record.info.voxel_size)
    labels = labels_of(volume.values, ids)
    for mask in masks:
        box = labels[mask.box]
        box[mask.mask & (box == 0)] = mask.id
    write_volume(
        path,
        labels.astype(label_type(labels), copy=False),
        voxel_size=volume.voxel_size,
        origin=volume.origin,
        nstart=volume.nstart,
    )
