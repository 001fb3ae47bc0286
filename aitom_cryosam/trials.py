"""Trials: which preset finds, from each click, the particles under the others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import particle_size
from aitom_cryosam.picker import CryoSAM
from aitom_cryosam.picks import Picks
from aitom_cryosam.presets import lacking_weights
from aitom_cryosam.progress import Progress
from aitom_cryosam.prompting import particle_query, prompted
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS, Settings
from aitom_cryosam.tomogram import Tomogram


@dataclass(frozen=True)
class Trial:
    """What one preset makes of the clicks.

    Attributes:
        name: of the preset.
        retrieval: mean over all pairs of clicks of the share of the tomogram's similarity maxima
            that the particle under one click exceeds, searched for with the other click alone;
            0.5 is chance. NaN if the preset could not be tried.
        seconds: that it took.
        problem: why it could not be tried; empty if it was.
    """

    name: str
    retrieval: float
    seconds: float
    problem: str = ""


def presets_with(
    resources: Resources, changes: Mapping[str, Any]
) -> tuple[dict[str, Settings], dict[str, str]]:
    """Every preset, and what keeps some from running on this machine.

    Args:
        resources: device and checkpoints.
        changes: settings that take the place of every preset's.

    Returns:
        Settings by the preset's name, and by the names of those that cannot run what they lack,
        as "no weights of NAME".

    Raises:
        InputError: a change is out of its range.
    """
    replace(PRESETS["embedded"], **changes)  # what is out of range is so for all
    presets: dict[str, Settings] = {}
    lacking: dict[str, str] = {}
    for name, preset in PRESETS.items():
        try:
            settings = replace(preset, **changes)
        except InputError as error:  # of an encoder without probabilities
            settings = replace(preset, **{k: v for k, v in changes.items() if k != "fdr"})
            lacking[name] = error.problem.rstrip(".")
        presets[name] = settings
        if missing := lacking_weights(settings.networks, resources):
            lacking.setdefault(name, missing)
    return presets, lacking


def tried(
    tomogram: Tomogram,
    points_zyx: np.ndarray,
    presets: Mapping[str, Settings],
    resources: Resources,
    progress: Progress | None = None,
) -> list[Trial]:
    """Try presets on clicks that lie on particles of one kind, best first.

    Args:
        tomogram: (D, H, W).
        points_zyx: (n, 3) voxels, n ≥ 2.
        presets: settings by name.
        resources: of the machine.
        progress: as for `CryoSAM`.

    Raises:
        InputError: there are fewer than two clicks, or no diameter can be estimated.
    """
    if len(points_zyx) < 2:
        problem = f"Presets are compared by two clicks or more, got {len(points_zyx)}"
        raise InputError(problem, Remedy.PROMPT)
    if not presets:
        return []
    first = next(iter(presets.values()))
    diameter = particle_size(tomogram, points_zyx, first).diameter_voxels  # the same for all
    trials = []
    for name, settings in presets.items():
        start = time.perf_counter()
        picker = CryoSAM(
            replace(settings, diameter_angstrom=diameter * tomogram.voxel_size),
            resources=resources,
            progress=progress,
        )
        try:
            value, problem = _retrieval(picker, tomogram, points_zyx, diameter), ""
        except InputError as error:
            value, problem = np.nan, error.problem
        trials.append(Trial(name, value, time.perf_counter() - start, problem))
    return sorted(trials, key=lambda one: -np.nan_to_num(one.retrieval, nan=-1))


def _retrieval(
    picker: CryoSAM, tomogram: Tomogram, points_zyx: np.ndarray, diameter: float
) -> float:
    walks = picker.propagator(tomogram, diameter)
    prompts, masks = prompted(walks, tomogram, Picks.from_points(points_zyx), picker.progress)
    used = np.flatnonzero(prompts.kept)
    if len(used) < 2:
        raise InputError("Only one click gives a mask", Remedy.NEARER_PROMPT)
    features = picker.features(tomogram, diameter)
    query = particle_query(tomogram, features, prompts, masks, diameter, picker.settings)
    shares = []
    for row in used:
        maxima, _ = picker.match(features, query.prompt_features[row], diameter)
        shares.append(_shares(maxima, points_zyx[used[used != row]], points_zyx[used], diameter))
    return float(np.mean(shares))


def _shares(maxima: Picks, others: np.ndarray, clicks: np.ndarray, diameter: float) -> float:
    """Mean share of the maxima away from all clicks that those at the other clicks exceed."""
    near = np.linalg.norm(maxima.points_zyx[:, None] - clicks, axis=2).min(axis=1) < diameter / 2
    away = np.sort(maxima.scores[~near])
    found = []
    for point in others:
        here = np.linalg.norm(maxima.points_zyx - point, axis=1) < diameter / 2
        best = maxima.scores[here].max(initial=-np.inf)
        found.append(np.searchsorted(away, best) / max(len(away), 1))
    return float(np.mean(found))
