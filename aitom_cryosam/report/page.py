"""The page of one run: everything of a record that a person wants to see, as one HTML text."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.record import Record
from aitom_cryosam.report import figures
from aitom_cryosam.report.figures import SHOWN, STOPS, Panel
from aitom_cryosam.report.gallery import Tiles, groups, movable
from aitom_cryosam.report.images import limits, photograph
from aitom_cryosam.report.next_steps import next_steps, select_command
from aitom_cryosam.report.section import Section
from aitom_cryosam.report.truth import Failures, failures
from aitom_cryosam.trace import Trace

if TYPE_CHECKING:
    from jinja2 import Environment

BINS = 48
"""Bars of the histogram."""
DEPTHS = 24
"""Planes that the mean behind the maps of picks is taken over."""


@dataclass(frozen=True)
class KnownPositions:
    """Known positions to compare with.

    Attributes:
        picks: voxels of the tomogram.
        radius: Å, of the matching.
    """

    picks: Picks
    radius: float


def page(record: Record, truth: KnownPositions | None = None) -> str:
    """The page of one run.

    Args:
        record: of the run; its tomogram must be where it was.
        truth: known positions, if there are any.

    Raises:
        InputError: a file of the result, or the tomogram, is missing or damaged.
    """
    return str(_environment().get_template("report.html").render(_Content(record, truth).values()))


def expected_precision(record: Record) -> float | None:
    """Share of the picks that are right, by their probabilities; None where these do not say."""
    counts: dict[str, float | None] = record.content.get("counts", {})
    return counts.get("expected_precision")


def index(rows: list[dict[str, Any]], title: str) -> str:
    """The page that leads to the pages of several tomograms.

    Args:
        rows: for each tomogram "name", "folder", "href", "picks", "expected", "diameter",
            "seconds", "warnings" and "problem"; of one with a problem only name, folder, picks
            and problem. The folder is empty where the name alone tells which result it is.
        title: of the page.
    """
    return str(_environment().get_template("index.html").render(rows=rows, title=title))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("aitom_cryosam.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment


class _Content:
    """What the template is filled with."""

    def __init__(self, record: Record, truth: KnownPositions | None) -> None:
        self.record = record
        self.truth = truth
        self.structure: dict[str, Any] = record.content.get("target") or {}
        self.proposals = record.proposals
        self.data = _voxels(record)
        self.voxel_size = float(record.info.voxel_size or 1)
        self.diameter = record.diameter_angstrom / self.voxel_size
        self.trace = _trace(record)
        self.point = self._shown_click()
        self.thickness = max(int(self.diameter / 4), 1)
        self.slice = Section.whole(self.data, 0, _nearest(self.point[0]), self.thickness)
        self.limits = limits(self.slice.values)

    def values(self) -> dict[str, Any]:
        kept = self.proposals.scores[self.proposals.kept]
        cut = float(kept.min()) if len(kept) else None
        tiles = Tiles(self.data, self.diameter, self.limits)
        by_probability = self.proposals.probabilities is not None and not self.record.by_clusters
        bars = self._bars()
        return {
            "name": self.record.info.name,
            "structure": self.structure.get("name"),
            "structures": self.record.content.get("counts", {}).get("structures", 0),
            "spacing": self.structure.get("spacing_angstrom", 0.0),
            "picks": len(kept),
            "clicks": len(self.record.prompts),
            "used": int(self.record.prompts.kept.sum()),
            "proposals": len(self.proposals),
            "diameter": self.record.diameter_told.partition(", "),
            "voxel_size": self.voxel_size,
            "shape_xyz": self.record.info.shape_zyx[::-1] if self.record.info.shape_zyx else (),
            "contrast": self.record.contrast,
            "seconds": sum(self.record.seconds.values()),
            "warnings": self.record.warnings,
            "left_out": self.proposals.left_out.most_common(),
            "slice": self.slice.picture(self.limits),
            "slice_size": self.slice.size,
            "story": self._story(),
            "instance": self._instance(),
            "maps": self._maps(),
            "bars": bars,
            "cut": cut,
            "groups": groups(tiles, self.proposals, cut),
            "failures": self._failures(tiles),
            "worth": self._worth(),
            "rejects": self.record.rejects.points_zyx[:, ::-1].tolist(),
            "steps": next_steps(self.record),
            "tables": self._tables(),
            "slider": self._slider(cut, bars),
            "by_probability": by_probability,
            "expected": expected_precision(self.record),
            "radius": self.truth.radius if self.truth else 0.0,
            "most": int(movable(self.proposals).sum()),
            "select": select_command(self.record),
        }

    def _shown_click(self) -> np.ndarray:
        """(3,) where the trace is cut, else the first used click, else the middle."""
        if self.trace is not None:
            return self.trace.centre_zyx
        clicked = self.record.prompts.take(self.record.prompts.kept).points_zyx
        middle = (np.array(self.data.shape) - 1) / 2
        return np.concatenate([clicked, [middle]])[0]

    def _story(self) -> list[Panel]:
        """The paper's figure 4, a to f."""
        section, rows = self.slice, np.arange(len(self.proposals))
        clicked = figures.clicks(section, self.record.prompts.points_zyx, self.diameter / 2)
        shared: dict[str, Any] = {
            "box": section.box,
            "picture": "#slice",
            "radius": self.diameter / 2,
        }
        z = _nearest(self.point[0])
        first = f"the click, z = {z}" if len(clicked) else f"z = {z}"
        panels = [Panel(title=first, circles=clicked, **shared)]
        if (mask := self._mask()) is not None:
            outline = tuple(filter(None, [section.outline(mask)]))
            panels.append(Panel(title="its mask", circles=clicked, outlines=outline, **shared))
        if self.trace is not None and self.trace.similarity is not None:
            colours = figures.similarity_overlay(
                self.trace.similarity[0], self.trace.chance, self.trace.ratio, section.size
            )
            panels.append(Panel(title="similarity with it", overlay=colours, **shared))
        near = figures.circles(section, self.proposals, rows, reach=SHOWN, kind="proposal")
        labels = figures.label_overlay(np.asarray(self.record.labels()[z]))
        picked = figures.circles(
            section, self.proposals, np.flatnonzero(self.proposals.kept), reach=SHOWN
        )
        if self.structure:
            return [
                *panels,
                Panel(title="masks", overlay=labels, **shared),
                Panel(title=f"points, z ± {SHOWN:g}", circles=picked, **shared),
            ]
        return [
            *panels,
            Panel(title=f"proposals, z ± {SHOWN:g}", circles=near, **shared),
            Panel(title="masks of the picks", overlay=labels, **shared),
            Panel(title=f"picks, z ± {SHOWN:g}", circles=picked, **shared),
        ]

    def _mask(self) -> ParticleMask | None:
        """Of the shown click; None without one, as after a query from another tomogram."""
        if self.trace is None or not len(self.trace.masks):
            return None
        distances = [np.abs(mask.prompt_zyx - self.point).max() for mask in self.trace.masks]
        mask = self.trace.masks[int(np.argmin(distances))]
        return mask if mask.volume else None

    def _instance(self) -> list[Panel]:
        mask = self._mask()
        if mask is None:
            return []
        return figures.instance_panels(self.data, mask.prompt_zyx, mask, self.diameter)

    def _maps(self) -> list[Panel]:
        """All proposals that a cut can move, from above and from the side."""
        rows = np.flatnonzero(movable(self.proposals))
        panels = []
        for axis, title in ((0, "from above: x and y"), (1, "from the side: x and z")):
            size = self.data.shape[axis]
            chosen = np.unique(np.linspace(0, size - 1, DEPTHS).round().astype(int))
            mean = np.mean(
                [self.data.take(int(i), axis=axis).astype(np.float32) for i in chosen], 0
            )
            section = Section.whole(self.data, axis, size // 2, 1)
            panels.append(
                Panel(
                    title=title,
                    box=section.box,
                    picture=photograph(mean[::-1], limits=limits(mean)),
                    circles=figures.circles(section, self.proposals, rows, reach=np.inf),
                    radius=self.diameter / 2,
                )
            )
        return panels

    def _bars(self) -> list[dict[str, float]]:
        """Of the histogram of scores: place 0 to 1, numbers of picks and others, and the most."""
        scores, kept = self.proposals.scores, self.proposals.kept
        finite = np.isfinite(scores)
        if not finite.any():
            return []
        edges = np.histogram_bin_edges(scores[finite], BINS)
        of_picks, _ = np.histogram(scores[finite & kept], edges)
        of_others, _ = np.histogram(scores[finite & ~kept], edges)
        highest = max(int((of_picks + of_others).max()), 1)
        return [
            {
                "x": i / BINS,
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "picks": int(picks),
                "others": int(others),
                "top": highest,
            }
            for i, (picks, others) in enumerate(zip(of_picks, of_others, strict=True))
        ]

    def _slider(self, cut: float | None, bars: list[dict[str, float]]) -> str:
        """What the slider needs, as JSON without a character that means anything in HTML."""
        rows = np.flatnonzero(movable(self.proposals))
        probabilities = self.proposals.probabilities
        values = {
            "cut": cut,
            "span": [bars[0]["low"], bars[-1]["high"]] if bars else [0, 1],
            "rows": rows.tolist(),
            "kept": self.proposals.kept[rows].tolist(),
            "scores": [round(float(score), 5) for score in self.proposals.scores[rows]],
            "probabilities": None
            if probabilities is None
            else [round(float(value), 4) for value in probabilities[rows]],
        }
        text = json.dumps(values)
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

    def _worth(self) -> list[dict[str, Any]]:
        """A row for each click: where, what it gave, how alike it is to the others."""
        prompts, rows = self.record.prompts, self.record.content["prompts"]
        alike = _alike(self.record, len(prompts))
        return [
            {
                "xyz": tuple(float(value) for value in point[::-1]),
                "used": bool(prompts.kept[i]),
                "reason": prompts.reasons[i],
                "voxels": rows[i].get("mask_voxels", 0),
                "is_ball": rows[i].get("mask_is_ball", False),
                "walks": [
                    (name, STOPS.get(stop, stop)) for name, stop in rows[i].get("walks", {}).items()
                ],
                "alike": alike[i],
                "retrieved": rows[i].get("retrieved"),
                "odd": rows[i].get("odd", ()),
                "rank": self._rank(point),
            }
            for i, point in enumerate(prompts.points_zyx)
        ]

    def _rank(self, point: np.ndarray) -> int | None:
        """The place of the proposal at a click, from 1; None if nothing was proposed there."""
        if not len(self.proposals):
            return None
        distances = np.linalg.norm(self.proposals.points_zyx - point, axis=1)
        nearest = int(distances.argmin())
        return nearest + 1 if distances[nearest] < self.diameter / 2 else None

    def _failures(self, tiles: Tiles) -> Failures | None:
        if self.truth is None:
            return None
        return failures(
            tiles,
            self.proposals,
            self.truth.picks,
            radius=self.truth.radius,
            voxel_size=self.voxel_size,
        )

    def _tables(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Settings, versions, hashes, seconds and files, as text."""
        settings, provenance = self.record.settings, self.record.provenance
        weights = [
            (name, f"{one.get('file', '')} sha256 {one.get('sha256', '')}")
            for name, one in provenance["weights"].items()
        ]
        return [
            ("Settings", [(f.name, str(getattr(settings, f.name))) for f in fields(settings)]),
            ("Versions", [(name, str(one)) for name, one in provenance["versions"].items()]),
            ("Weights", weights or [("none", "the embedded models need none")]),
            (
                "Tomogram",
                [
                    ("file", str(self.record.tomogram_path)),
                    ("sha256 of the voxels", str(provenance["sha256"])),
                ],
            ),
            ("Seconds", [(name, f"{value:.1f}") for name, value in self.record.seconds.items()]),
            ("Files", [(kind, str(path)) for kind, path in self.record.files.items()]),
        ]


def _voxels(record: Record) -> np.ndarray:
    """(D, H, W) of the tomogram, on disk until they are looked at."""
    return np.asarray(record.tomogram().data)


def _trace(record: Record) -> Trace | None:
    """None in results of earlier versions, which have none."""
    path = record.files.get("trace")
    return Trace.read(path) if path is not None and os.path.isfile(path) else None


def _alike(record: Record, count: int) -> list[float | None]:
    """For each click the mean cosine similarity of its particle with the other clicks'."""
    nothing: list[float | None] = [None] * count
    if count < 2:
        return nothing
    try:
        features = record.query.prompt_features.astype(np.float64)
    except InputError:  # missing or of another version: the page can do without
        return nothing
    if len(features) != count:
        return nothing
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    table = unit @ unit.T
    np.fill_diagonal(table, np.nan)
    usable = np.isfinite(unit).all(axis=1)
    return [
        float(np.nanmean(table[i])) if usable[i] and usable.sum() > 1 else None
        for i in range(count)
    ]


def _nearest(value: float) -> int:
    return int(nearest_voxel(np.array(value)))
