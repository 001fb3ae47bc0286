"""Record: what a run left in its folder, read back without running anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from aitom_cryosam.errors import InputError
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.names import result_stem
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.table import json_of
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.result_files import NEEDED, RUN, result_paths, run_files
from aitom_cryosam.run_entries import SCHEMA
from aitom_cryosam.settings import Settings
from aitom_cryosam.source_file import FileStamp, existing_file, reading, sha256_of
from aitom_cryosam.tidying import settle
from aitom_cryosam.tomogram import Contrast, Tomogram
from aitom_cryosam.volumes.reading import read_volume
from aitom_cryosam.wording import in_angstrom, listed

_LONGEST = 255  # bytes of a file's name


@dataclass(frozen=True, eq=False)
class Record:
    """The files of one run on one tomogram. Each is read when it is first asked for.

    Attributes:
        path: the file `<stem>_run.json`.
        content: of that file.
        info: name, voxel size (Å), shape and file of the tomogram.
        contrast: of protein in the tomogram.
        files: the result's files by kind, as in `result_paths`.
        known: the proposals where they have just been written, which need not be read then.
    """

    path: Path
    content: Mapping[str, Any]
    info: TomogramInfo
    contrast: Contrast = "dark"
    files: Mapping[str, Path] = field(default_factory=dict)
    known: Picks | None = None

    @classmethod
    def open(cls, path: str | Path) -> Record:
        """Read the record of a run.

        Args:
            path: a folder with one run's files, or its `<stem>_run.json`.

        Raises:
            InputError: there is none or more than one, it is damaged or of a newer version.
        """
        path = Path(path)
        if os.path.isdir(path):
            found = run_files(path)
            if len(found) != 1:
                there = listed(file.name for file in found) or "none"
                raise InputError(
                    f"Expected a folder with the record of one run, *{RUN}; {path} has {there}."
                )
            path = found[0]
        else:
            settle(path.parent)
        if existing_file(path).suffix.lower() != ".json":
            beside = path.with_name(f"{result_stem(path)}{RUN}")
            hint = f", here {beside.name}" if os.path.isfile(beside) else ""
            raise InputError(
                f"{path} is no result; expected a folder that `pick` wrote, or the file *{RUN} "
                f"in it{hint}."
            )
        with reading(path, "the record of a run"):
            content = json_of(path)
            if content.get("schema", 1) > SCHEMA:
                raise InputError(f"{path} was written by a newer version of this program.")
            tomogram = content["tomogram"]
            depth, height, width = map(int, tomogram["shape_zyx"])
            name, file = str(tomogram["name"]), tomogram["path"]
            voxel_size = float(tomogram["voxel_size_angstrom"])
            x, y, z = map(float, tomogram.get("shift_xyz_angstrom", (0, 0, 0)))
            place = None if file is None else _moved(Path(file), path.parent)
            return cls(
                path=path,
                content=content,
                info=TomogramInfo(
                    name, voxel_size, (depth, height, width), path=place, noted_shift=(x, y, z)
                ),
                contrast=tomogram.get("contrast", "dark"),
                files=_files(path, name, content),
            )

    @property
    def tomogram_path(self) -> Path | None:
        """The tomogram's file, where it was or as it lies to the result now; None of an array."""
        return self.info.path

    @classmethod
    def all_in(cls, folder: str | Path) -> list[Record]:
        """The records of all runs in a folder, by name.

        Raises:
            InputError: one is damaged or of a newer version.
        """
        return [cls.open(path) for path in run_files(Path(folder))]

    def check(self, *kinds: str) -> None:
        """Refuse a set of files that are not all of one run.

        Results of version 0.1 state no checksums; they are believed.

        Args:
            kinds: of the files to look at; all if none is named.

        Raises:
            InputError: picks, proposals or labels are missing, or a file is not the one that the
                run wrote.
        """
        with reading(self.path, "the record of a run"):
            stated = {
                str(kind): str(value) for kind, value in self.content.get("sha256", {}).items()
            }
        for kind, checksum in stated.items():
            if kinds and kind not in kinds:
                continue
            if kind not in NEEDED and kind in self.files and not os.path.exists(self.files[kind]):
                continue  # a picture that was thrown away makes no other result
            path = self._file(kind)
            with reading(path, "a file of a result"):
                same = sha256_of(path) == checksum
            if not same:
                raise InputError(
                    f"{path} is not the file that the run of {self.path.name} wrote: it was "
                    "changed, or comes from another run",
                    Remedy.RUN_AGAIN,
                )

    @cached_property
    def proposals(self) -> Picks:
        """Every proposal, best first, with its verdict.

        Raises:
            InputError: the file is missing or damaged.
        """
        if self.known is not None:
            return self.known
        kind = "proposals" if "proposals" in self.files or "picks" not in self.files else "picks"
        points = read_points(self._file(kind), voxel_size=self.info.voxel_size).picks
        return replace(points, reasons=tuple(text.replace("_", " ") for text in points.reasons))

    @property
    def picks(self) -> Picks:
        """The proposals that are believed, best first."""
        return self.proposals.take(self.proposals.kept)

    def labels(self) -> np.ndarray:
        """(D, H, W) integers, memory-mapped: the id of the pick in every voxel of its mask.

        Raises:
            InputError: the file is missing or damaged.
        """
        return read_volume(self._file("labels"), voxel_size=self.info.voxel_size).values

    @cached_property
    def masks(self) -> list[ParticleMask]:
        """The instances of the picks, in their order, as far as the labels keep them.

        Where two overlapped, the better one has the voxels. The planes' scores are not kept.
        """
        labels = self.labels()
        boxes = ndimage.find_objects(labels.astype(np.int32))
        balls = self.balls
        masks = [
            _mask(labels, boxes[number - 1] if number <= len(boxes) else None, number, point)
            for number, point in zip(self.picks.ids.tolist(), self.picks.points_zyx, strict=True)
        ]
        return [replace(mask, is_ball=mask.id in balls) for mask in masks]

    @property
    def balls(self) -> frozenset[int]:
        """Ids of picks without a mask of their own, in whose place is a ball."""
        return frozenset(map(int, self.content.get("balls", ())))

    @cached_property
    def prompts(self) -> Picks:
        """The user's points; one without a mask is not kept, and says why."""
        with reading(self.path, "the record of a run"):
            rows = self.content["prompts"]
            points_xyz = np.array([row["xyz"] for row in rows], np.float64).reshape(-1, 3)
            return replace(
                Picks.from_points(points_xyz[:, ::-1]),
                kept=np.array([row["used"] for row in rows], bool),
                reasons=tuple(str(row["reason"]) for row in rows),
            )

    @cached_property
    def rejects(self) -> Picks:
        """Places that the user rejected."""
        with reading(self.path, "the record of a run"):
            rows = [row["xyz"] for row in self.content.get("rejects", ())]
            return Picks.from_points(np.array(rows, np.float64).reshape(-1, 3)[:, ::-1])

    @cached_property
    def query(self) -> ParticleQuery:
        """What the prompted particles look like.

        Raises:
            InputError: the file is missing, as it is in results of version 0.1, or damaged.
        """
        return ParticleQuery.read(self._file("query"))

    @cached_property
    def settings(self) -> Settings:
        """That the run was asked for.

        Raises:
            InputError: they are of a newer version.
        """
        with reading(self.path, "the record of a run"):
            return Settings.from_json(self.content["settings"])

    def expect_particles(self, what: str) -> None:
        """Refuse the points of a membrane or filament, as `what` takes the proposals of particles.

        Raises:
            InputError: it is the result of a structure.
        """
        target = self.content.get("target")
        if target is not None:
            raise InputError(
                f"{self.path} is of a {target['name']}, which is no particle; {what} takes the "
                "proposals of particles."
            )

    @property
    def by_clusters(self) -> bool:
        """Whether clusters decided which proposals are picks, and not their probabilities."""
        return dict(self.content.get("counts", {})).get("decided_by") == "clusters"

    @property
    def diameter_angstrom(self) -> float:
        """Of the particle, given or estimated."""
        with reading(self.path, "the record of a run"):
            return float(self.content["diameter_angstrom"])

    @property
    def diameter_told(self) -> str:
        """The diameter for people, and whence it is."""
        with reading(self.path, "the record of a run"):
            typed = self.content.get("job", {}).get("settings", {}).get("diameter_angstrom")
            if self.content.get("diameter_estimated", False):
                whence = "estimated from the prompts"
            else:
                whence = "of the query" if "query" in self.inputs and typed is None else "given"
            return f"{in_angstrom(self.diameter_angstrom)}, {whence}"

    @property
    def seconds(self) -> Mapping[str, float]:
        """That each stage took."""
        with reading(self.path, "the record of a run"):
            stages = dict(self.content.get("seconds", {}))
            return {str(stage): float(seconds) for stage, seconds in stages.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """That the run gave."""
        return tuple(self.content.get("warnings", ()))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions of the programs, checksum of the tomogram's voxels, files of weights."""
        return {
            "versions": self.content.get("versions", {}),
            "sha256": self.content["tomogram"].get("sha256"),
            "weights": self.content.get("weights", {}),
        }

    @cached_property
    def inputs(self) -> Mapping[str, FileStamp]:
        """The files that decided about the result, as they were when the run began.

        By what they are: "tomogram", "query", "prompts", "region", "excluded 1", ...
        """
        with reading(self.path, "the record of a run"):
            stamps = self.content.get("inputs", {})
            return {role: FileStamp(**values) for role, values in stamps.items()}

    def tomogram(self, *, by_voxels: bool = False) -> Tomogram:
        """The tomogram, opened as it was for the run.

        Args:
            by_voxels: read all of them to know whether it is the same, as for work that reads them
                anyway; else a file that was not written to since is believed.

        Raises:
            InputError: it was an array, or its file is not there any more, or is another one.
        """
        path = self.tomogram_path
        if path is None:
            raise InputError(f"{self.info.name} was given as an array, not as a file.")
        if not os.path.exists(path):
            raise InputError(
                f"There is no file {path}, the tomogram of {self.path}; put it there, or beside "
                f"{self.path.name}."
            )
        found = Tomogram.open(path, voxel_size=self.info.voxel_size, contrast=self.contrast)
        digest, then = self.provenance["sha256"], self.inputs.get("tomogram")
        untouched = not by_voxels and then is not None and then.untouched(FileStamp.of(path))
        if found.shape != self.info.shape_zyx or (
            digest and not untouched and found.digest() != digest
        ):
            raise InputError(
                f"{path} is not the tomogram that {self.path} is of: it was replaced after the "
                "run; pick it again."
            )
        return found

    def _file(self, kind: str) -> Path:
        if kind not in self.files:
            raise InputError(f"{self.path} names no file of its {kind}.")
        return existing_file(self.files[kind])


def records_at(path: Path) -> list[Record]:
    """The runs of a folder, or the one of a `<stem>_run.json`, at least one.

    Raises:
        InputError: as for `Record.open`, or there is none; folders in it that have some are named.
    """
    if not os.path.isdir(path):
        return [Record.open(path)]
    found = Record.all_in(path)
    if not found:
        below = [*path.glob(f"[!.]*/[!.]*{RUN}"), *path.glob(f"results/*/[!.]*{RUN}")]
        there = listed(str(one) for one in sorted({one.parent for one in below}))
        hint = f", here {there}" if there else ""
        raise InputError(f"{path} holds no *{RUN}; expected a folder that `pick` wrote{hint}.")
    return found


def _moved(path: Path, folder: Path) -> Path:
    """A tomogram's file; if it is gone, one as far from the result as it was, in any place."""
    if os.path.exists(path):
        return path
    ways = [Path(*path.parts[first:]) for first in range(path.is_absolute(), len(path.parts))]
    home = folder.absolute()
    found = (up / way for up in (home, *home.parents) for way in ways)
    return next((one for one in found if os.path.exists(one)), path)


def _files(path: Path, name: str, content: Mapping[str, Any]) -> dict[str, Path]:
    """By kind. A result of version 0.1 does not name them: those that are there."""
    named = content.get("files")
    if named is not None:
        names = {str(kind): Path(str(file)).name for kind, file in named.items()}
        if any(len(os.fsencode(one)) > _LONGEST for one in names.values()):
            raise ValueError("a name that no file has")
        return {kind: path.parent / name for kind, name in names.items()}
    flavours = ("relion5", "relion4", "relion31", "warp")
    usual = result_paths(path.parent, name, flavours, picture=True)
    return {kind: file for kind, file in usual.items() if kind in NEEDED or os.path.exists(file)}


def _mask(
    labels: np.ndarray, box: tuple[slice, ...] | None, number: int, point_zyx: np.ndarray
) -> ParticleMask:
    """The voxels of one id."""
    if box is None:
        return ParticleMask.empty(point_zyx, number)
    offset = np.array([side.start for side in box], np.int64)
    return ParticleMask(number, point_zyx, offset, labels[box] == number, np.nan)
