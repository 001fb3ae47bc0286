"""`cryosam doctor`: what can be said of a tomogram and clicks before a run, and what to type."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from aitom_cryosam.cli import machine_options, method_options, options
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_tomogram
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from aitom_cryosam.doctor.observation import Observation
    from aitom_cryosam.particle_size import ParticleSize
    from aitom_cryosam.settings import Settings
    from aitom_cryosam.tomogram import Tomogram
    from aitom_cryosam.trials import Trial

_ASSUMED = 10.0
"""Å a voxel, where neither the header nor the user says it; no length in Å is told then."""
_MARKS = {"error": "✗", "warning": "!", "note": "·"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam doctor`."""
    options.add_tomogram(parser)
    options.add_prompts(parser)
    add_tilt_series(parser)
    options.add_volume(parser)
    parser.add_argument(
        "--presets",
        action="store_true",
        help="try every preset that can run, and rank them by how well each click finds the others",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for other programs")
    method_options.add_method(parser)
    machine_options.add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Look, and print what was seen with what to type.

    Returns:
        0, or 1 if a run cannot work as it is.

    Raises:
        InputError: the tomogram or the clicks cannot be read at all.
    """
    from pathlib import Path

    from aitom_cryosam.doctor import examine
    from aitom_cryosam.doctor.clicks import fitting
    from aitom_cryosam.doctor.header import header_observations
    from aitom_cryosam.doctor.needs import needs_of
    from aitom_cryosam.trials import presets_with
    from aitom_cryosam.validation.finding import Severity

    path = Path(args.tomogram)
    seen = header_observations(path, voxel_size=args.voxel_size)
    known = args.voxel_size is not None or all(one.severity is not Severity.ERROR for one in seen)
    # What does not need it can be looked at without.
    tomogram, points = _opened(args, args.voxel_size if known else _ASSUMED)
    given = args.diameter / tomogram.voxel_size if args.diameter and known else None
    seen += examine(tomogram, points, diameter=given)
    good = points[fitting(tomogram, points)]
    settings = method_options.typed_settings(args) | ({} if known else {"diameter_angstrom": None})
    presets, lacking = presets_with(machine_options.resources(args), settings)
    size, told = _size(tomogram, good, presets, known=known)
    limits = machine_options.resources(args)
    needs = needs_of(tomogram, presets, lacking, limits, size, voxel_size_known=known)
    seen += [*told, *(one.observation for one in needs), _preset(args)]
    trials = _trials(args, tomogram, good, presets, lacking) if args.presets else []
    if args.json:
        content: dict[str, object] = {"tomogram": str(path)}
        content["observations"] = [_plain(one) for one in seen]
        content["needs"] = [asdict(one) for one in needs]
        if args.presets:
            content["presets"] = [_trial(one) for one in trials]
        print(json.dumps(content))
    else:
        told = [one for one in seen if not args.quiet or one.severity is not Severity.NOTE]
        print("\n".join([line for one in told for line in _lines(one)]), end="\n" if told else "")
        print("\n".join([_trial_line(one) for one in trials]), end="\n" if trials else "")
    return int(any(one.severity is Severity.ERROR for one in seen))


def _opened(args: argparse.Namespace, voxel_size: float | None) -> tuple[Tomogram, np.ndarray]:
    """The tomogram, and the clicks wherever they lie, (n, 3) voxels."""
    from aitom_cryosam.points.prompts import unchecked_prompts
    from aitom_cryosam.tomogram import Tomogram

    options.refuse_pixel_size_alone(args)
    tomogram = Tomogram.open(args.tomogram, voxel_size=voxel_size, contrast=args.contrast)
    return tomogram, unchecked_prompts(
        tomogram,
        args.prompt,
        args.prompts,
        coords_angpix=args.coords_angpix,
        tilt_series=tilt_series_of_tomogram(args),
    )


def _trials(
    args: argparse.Namespace,
    tomogram: Tomogram,
    points_zyx: np.ndarray,
    presets: Mapping[str, Settings],
    lacking: Mapping[str, str],
) -> list[Trial]:
    """Every preset on clicks inside, the best first, and last those that cannot run."""
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.trials import Trial, tried

    able = {name: one for name, one in presets.items() if name not in lacking}
    with ShownProgress(quiet=args.quiet) as progress:
        trials = tried(tomogram, points_zyx, able, machine_options.resources(args), progress)
    return trials + [Trial(name, float("nan"), 0, problem) for name, problem in lacking.items()]


def _trial(one: Trial) -> dict[str, object]:
    """A trial as JSON values."""
    return {
        "preset": one.name,
        "retrieval": None if one.problem else round(one.retrieval, 4),
        "seconds": round(one.seconds, 1),
        "problem": one.problem,
    }


def _trial_line(one: Trial) -> str:
    what = one.problem or (
        f"each click ranks the others above {100 * one.retrieval:.1f} % of all else "
        f"({one.seconds:.0f} s)"
    )
    return f"{_MARKS['note']} {'preset':9} {one.name:9} {what}"


def _size(
    tomogram: Tomogram, points_zyx: np.ndarray, presets: Mapping[str, Settings], *, known: bool
) -> tuple[ParticleSize | None, list[Observation]]:
    """As typed, or as clicks inside tell; and what is unsure of it, or what a run would refuse."""
    from aitom_cryosam.doctor import Observation
    from aitom_cryosam.particle_size import particle_size
    from aitom_cryosam.validation.finding import Severity
    from aitom_cryosam.wording import in_angstrom

    settings = presets["embedded"]
    if settings.diameter_angstrom is None and not len(points_zyx):
        return None, []
    try:
        size = particle_size(tomogram, points_zyx, settings, known=known)
    except InputError as error:
        return None, [_refusal(error, "diameter")]
    if not size.rivals_voxels:
        return size, []

    def length(voxels: float) -> str:
        return in_angstrom(voxels * tomogram.voxel_size) if known else f"{voxels:.0f} voxels"

    text = (
        f"Judged by the clicks, the particle is {length(size.diameter_voxels)} wide, or else "
        f"{' or '.join(map(length, size.rivals_voxels))}. A run that finds little with the first "
        "also tries the others, and takes longer."
    )
    remedy = "give --diameter if you know it, or click on more particles"
    return size, [Observation(Severity.NOTE, "diameter", text, remedy=remedy)]


def _preset(args: argparse.Namespace) -> Observation:
    """Which one a run would take, and why; or why it cannot."""
    from aitom_cryosam.doctor import Observation
    from aitom_cryosam.validation.finding import Severity

    try:
        _, note = method_options.explained_settings(args, machine_options.resources(args))
        return Observation(Severity.NOTE, "preset", note)
    except InputError as error:
        return _refusal(error, "preset")


def _refusal(error: InputError, about: str) -> Observation:
    """What a run would end with."""
    from aitom_cryosam.doctor import Observation
    from aitom_cryosam.validation.finding import Severity

    remedy = error.remedy.worded(Door.COMMAND_LINE, **error.values) if error.remedy else ""
    return Observation(Severity.ERROR, about, f"{error.problem.rstrip('.')}.", remedy=remedy)


def _plain(one: Observation) -> dict[str, object]:
    """An observation as JSON values."""
    return {
        "severity": one.severity.value,
        "about": one.about,
        "text": one.text,
        "type": _typed(one),
        "remedy": one.remedy,
    }


def _lines(one: Observation) -> list[str]:
    """An observation, and below it what to do."""
    lines = [f"{_MARKS[one.severity.value]} {one.about:9} {one.text}"]
    if one.remedy:
        lines.append(f"{'':12}→ {one.remedy}")
    if one.options:
        lines.append(f"{'':12}→ type {_typed(one)}")
    return lines


def _typed(one: Observation) -> str:
    return " ".join(f"--{name} {value}" for name, value in one.options.items())
