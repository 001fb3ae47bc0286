"""Compared methods: what `cryosam compare` can run, and the options of each."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from aitom_cryosam.cli import averaging_options, machine_options, method_options, options
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.errors import InputError
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    from aitom_cryosam.evaluation.comparison import MethodPicks
    from aitom_cryosam.job import Job
    from aitom_cryosam.picks import Picks
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.progress import Progress
    from aitom_cryosam.result import Result
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

CRYOSAM, REFINED = "cryosam", "cryosam+refine"
DOG, TEMPLATE = "aitom-dog", "aitom-template"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of all methods."""
    averaging_options.add_wedge(parser, of=REFINED)
    _add_prompts(parser)
    _add_template(parser)
    method_options.add_method(parser)
    machine_options.add_resources(parser)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_argument_group("prompts", f"of {CRYOSAM} and {REFINED}")
    options.add_prompts(prompts)
    add_count(prompts, "--draw", "take N points of the truth instead")
    add_count(prompts, "--seed", "of --draw (default: 0)", default=0, metavar="S")


def _add_template(parser: argparse.ArgumentParser) -> None:
    template = parser.add_argument_group("template", f"of {TEMPLATE}")
    template.add_argument("--template", metavar="MAP", help="density map of the particle, MRC")
    add_length(template, "--template-voxel-size", "instead of its header's")
    template.add_argument(
        "--template-contrast",
        choices=("bright", "dark"),
        default="bright",
        help="of protein in the map (default: bright)",
    )
    add_number(
        template,
        "--angular-step",
        "DEGREES",
        "between rotations (default: 30, the nearest is then 15 off at the median)",
        default=30.0,
    )
    add_count(
        template,
        "--binning",
        "of tomogram and template; 2 is 8 times as fast (default: 1)",
        default=1,
    )
    add_count(template, "--threads", "processes side by side (default: all cores)")


@dataclass(frozen=True, eq=False)
class Bench:
    """What all methods share."""

    args: argparse.Namespace
    tomogram: Tomogram
    tilt_series: TiltSeries | None
    truth: Picks
    progress: Progress

    @property
    def diameter(self) -> float:
        """Å, for AITom's pickers."""
        if self.args.diameter is None:
            twice = 2 * float(self.args.radius)
            logger.info(
                "No --diameter was given: AITom's pickers take twice the --radius, %g Å.", twice
            )
            return twice
        if not 0 < self.args.diameter < math.inf:
            raise InputError(f"Expected a --diameter above 0 Å, got {self.args.diameter:g}.")
        return float(self.args.diameter)


def _cryosam(bench: Bench, *, refine: bool = False) -> Callable[[], MethodPicks]:
    from aitom_cryosam import job
    from aitom_cryosam.evaluation.comparison import MethodPicks

    wanted = _job(bench)

    def pick() -> MethodPicks:
        result = job.pick(wanted, progress=bench.progress)
        clicks = plural(len(result.prompts), "click")
        origin = " of the truth" if bench.args.draw else ""
        return MethodPicks.of(
            _refined(bench, result) if refine else result.proposals,
            clicks + origin,
            settings={
                **asdict(wanted.settings),
                "diameter_angstrom": result.diameter_angstrom,
                "prompts_xyz": result.prompts.points_zyx[:, ::-1].tolist(),
            },
        )

    return pick


def _refined(bench: Bench, result: Result) -> Picks:
    """The proposals judged again with the average of the picks."""
    from aitom_cryosam.averaging.refinement import refined
    from aitom_cryosam.averaging.settings import AveragingSettings
    from aitom_cryosam.averaging.sources import Source

    source = Source(
        result.tomogram,
        result.picks,
        result.prompts.points_zyx[result.prompts.kept],
        result.masks,
        averaging_options.wedge_of(bench.args, result.tomogram),
    )
    settings = AveragingSettings(diameter=result.diameter_angstrom)
    outcome = refined([source], [result.proposals], settings, progress=bench.progress)
    if outcome.kept_earlier:
        logger.warning("%s: the picks stay as they were: %s.", REFINED, outcome.kept_earlier)
    return outcome.proposals[0]


def _job(bench: Bench) -> Job:
    """With the clicks, or points of the truth in their place."""
    from aitom_cryosam.job import Job

    resources = machine_options.resources(bench.args)
    return Job(
        tomogram=bench.tomogram,
        settings=method_options.settings(bench.args, resources),
        resources=resources,
        prompts=tuple(_prompts(bench).points_zyx[:, ::-1].tolist()),
    )


def _prompts(bench: Bench) -> Picks:
    from aitom_cryosam.points.prompts import read_prompts

    args, texts = bench.args, list(bench.args.prompt)
    if args.draw is not None:
        if args.prompt or args.prompts:
            raise InputError("Expected prompts or --draw, got both; leave one out.")
        texts = _drawn(bench.truth, args.draw, args.seed)
        logger.info("Prompts taken from the truth, seed %d: %s.", args.seed, " ".join(texts))
    elif not (args.prompt or args.prompts):
        raise InputError(
            f"{CRYOSAM} needs a prompt; add --prompt X,Y,Z, --prompts FILE, or --draw N to take N "
            "points of the truth."
        )
    options.refuse_pixel_size_alone(args)
    return read_prompts(
        bench.tomogram,
        texts,
        args.prompts,
        coords_angpix=args.coords_angpix,
        tilt_series=bench.tilt_series,
    )


def _drawn(truth: Picks, number: int, seed: int) -> list[str]:
    """X,Y,Z of some true particles; those of a smaller number are among those of a larger."""
    import numpy as np

    if not 1 <= number <= len(truth):
        raise InputError(
            f"Expected --draw from 1 to {len(truth)}, the particles of the truth, got {number}."
        )
    chosen = np.random.default_rng(seed).permutation(len(truth))[:number]
    return [",".join(map("{:g}".format, row)) for row in truth.points_zyx[chosen, ::-1]]


def _dog(bench: Bench) -> Callable[[], MethodPicks]:
    from aitom_cryosam import baselines

    baselines.need_aitom()
    return partial(baselines.dog, bench.tomogram, diameter=bench.diameter)


def _template_matching(bench: Bench) -> Callable[[], MethodPicks]:
    from aitom_cryosam import baselines

    args = bench.args
    baselines.need_aitom()
    if args.template is None:
        raise InputError(f"{TEMPLATE} needs a density map of the particle; add --template MAP.")
    template = baselines.read_template(
        args.template,
        bench.tomogram.voxel_size,
        contrast=args.template_contrast,
        map_voxel_size=args.template_voxel_size,
        binning=args.binning,
    )
    return baselines.TemplateMatching(
        bench.tomogram,
        template,
        diameter=bench.diameter,
        angular_step=args.angular_step,
        binning=args.binning,
        processes=args.threads,
        resources=machine_options.resources(args),
        progress=bench.progress,
    ).run


METHODS: dict[str, Callable[[Bench], Callable[[], MethodPicks]]] = {
    CRYOSAM: _cryosam,
    REFINED: partial(_cryosam, refine=True),
    DOG: _dog,
    TEMPLATE: _template_matching,
}
