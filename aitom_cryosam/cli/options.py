"""Options that several commands share: the method's switches and the machine's resources."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.models import ENCODERS, SEGMENTERS
from aitom_cryosam.targets import STRUCTURES, structure

if TYPE_CHECKING:
    from aitom_cryosam.points.tilt_series import TomogramsStar
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.record import Record
    from aitom_cryosam.regions import RegionRules
    from aitom_cryosam.resources import Resources
    from aitom_cryosam.settings import Settings
    from aitom_cryosam.targets.base import StructureTarget

logger = logging.getLogger(__name__)

_STRUCTURES = " or ".join(f"{name}s" for name in STRUCTURES)


def add_tomogram(parser: argparse.ArgumentParser) -> None:
    """The tomogram that a command is about."""
    parser.add_argument(
        "tomogram",
        metavar="TOMO",
        help="MRC file (.mrc .rec .map, or .gz), OME-Zarr (.zarr), or, in a project of copick, "
        "CONFIG.json/RUN/TYPE@ANGSTROM",
    )


def located(text: str) -> str:
    """The path of a tomogram, also of one in a project of copick.

    Raises:
        InputError: there is no such project, or no such tomogram in it.
    """
    if ".json" not in text:
        return text
    from aitom_cryosam.copick_project import located

    return located(text)


def add_prompts(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Clicks, typed or in a file."""
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="X,Y,Z",
        help="a click on a particle, in voxels from 0; repeatable",
    )
    parser.add_argument(
        "--prompts", metavar="FILE", help="clicks: STAR, CSV or any format of `cryosam export`"
    )
    parser.add_argument(
        "--coords-angpix",
        type=float,
        metavar="ANGSTROM",
        help="pixel size that FILE is written in, if not the tomogram's",
    )


def refuse_pixel_size_alone(args: argparse.Namespace) -> None:
    """See to it that `--coords-angpix` was not typed without the file that it is of.

    Raises:
        InputError: it was; clicks that are typed count voxels.
    """
    if not (args.prompts or getattr(args, "rejects", None)):
        sentence = "{0} is of a file of clicks, and there is none; leave {0} out."
        refuse(args, ("coords_angpix",), sentence)


def add_rejects(parser: argparse.ArgumentParser) -> None:
    """Negative clicks, typed or in a file."""
    parser.add_argument(
        "--reject",
        action="append",
        default=[],
        metavar="X,Y,Z",
        help="a click on something else: it is no pick, nor is what is more like it; repeatable",
    )
    parser.add_argument("--rejects", metavar="FILE", help="such clicks, as --prompts")


def add_volume(parser: argparse.ArgumentParser) -> None:
    """How a tomogram is read."""
    parser.add_argument(
        "--voxel-size", type=float, metavar="ANGSTROM", help="if the header's is wrong or missing"
    )
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), default="dark", help="of protein (default: dark)"
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """Results of `pick`, and the folder of new ones."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULT",
        help="folders that `pick` wrote, or their *_run.json; of one or many tomograms",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")


def records_of(paths: Sequence[str]) -> list[Record]:
    """The runs in all folders.

    Raises:
        InputError: a path holds none, or a tomogram comes twice.
    """
    from aitom_cryosam.record import runs

    found = [record for path in paths for record in runs(Path(path))]
    for record in found:
        record.check()
    names = [one.info.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} comes in two results; expected each tomogram once.")
    return found


def add_flavours(
    parser: argparse.ArgumentParser,
    help: str = "also write relion5, relion4, relion31, warp",
) -> None:
    """Further STAR files."""
    parser.add_argument(
        "--star",
        type=_flavours,
        default=(),
        metavar="FLAVOUR[,FLAVOUR...]",
        help=help,
    )


def add_targets(parser: argparse.ArgumentParser) -> None:
    """What is looked for."""
    what = parser.add_argument_group("target", "what is looked for")
    what.add_argument(
        "--target",
        choices=("particle", *STRUCTURES),
        default="particle",
        help=f"particles (default); or follow {_STRUCTURES} from 2 to 10 clicks, which gives a "
        "mask, each sheet or line, and oriented points on it",
    )
    what.add_argument(
        "--spacing",
        type=float,
        metavar="ANGSTROM",
        help="between points on a membrane (default: 100) or filament (82)",
    )
    what.add_argument(
        "--thickness", type=float, metavar="ANGSTROM", help="of a membrane's mask (default: 70)"
    )


def target(args: argparse.Namespace) -> StructureTarget | None:
    """What `add_targets` was given; None for particles.

    Raises:
        InputError: a value makes no sense for it.
    """
    lengths = {name: getattr(args, name) for name in ("spacing", "thickness")}
    if args.target == "particle":
        for name, value in lengths.items():
            if value is not None:
                raise InputError(f"--{name} is of {_STRUCTURES}; add --target too.")
        return None
    return structure(args.target, diameter=args.diameter, **lengths)


def add_regions(parser: argparse.ArgumentParser, of: str = "") -> None:
    """Where picks may lie; `of` says which tomogram a mask is of."""
    where = parser.add_argument_group(
        "regions", "where picks may lie; nothing else counts, not even as background"
    )
    where.add_argument(
        "--region",
        metavar="MASK",
        help=f"only inside this mask of the tomogram{of}",
    )
    where.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="MASK",
        help="not inside this mask, such as of membranes or gold; repeatable",
    )
    where.add_argument(
        "--exclude-distance",
        type=float,
        default=0.0,
        metavar="ANGSTROM",
        help="nor within this distance of its surface",
    )
    where.add_argument(
        "--edge",
        type=float,
        default=0.0,
        metavar="ANGSTROM",
        help="nor within this distance of the tomogram's faces",
    )
    where.add_argument(
        "--lamella",
        choices=("none", "auto"),
        default="none",
        help="auto: only in the sample's slab between empty ice above and below",
    )


def regions(args: argparse.Namespace) -> RegionRules:
    """What `add_regions` was given.

    Raises:
        InputError: a value makes no sense.
    """
    from aitom_cryosam.regions import RegionRules

    return RegionRules(
        region=args.region,
        exclude=tuple(args.exclude),
        exclude_distance=args.exclude_distance,
        edge=args.edge,
        lamella=args.lamella,
    )


def add_matching(parser: argparse.ArgumentParser) -> None:
    """How picks are matched with the truth."""
    parser.add_argument(
        "--radius",
        type=float,
        required=True,
        metavar="ANGSTROM",
        help="largest distance between a particle and the pick that matches it, one to one",
    )
    parser.add_argument(
        "--class",
        dest="particle_class",
        metavar="NAME",
        help="count only this class of the truth (column particleClass)",
    )
    parser.add_argument(
        "--truth-angpix",
        type=float,
        metavar="ANGSTROM",
        help="pixel size that the truth is written in, if not the tomogram's",
    )


def add_method(parser: argparse.ArgumentParser) -> None:
    """The preset, the particle's diameter and every switch of `Settings`."""
    parser.add_argument(
        "--preset",
        choices=("auto", "embedded", "paper", "networks"),
        default="auto",
        help="embedded: models without weights; paper: DINOv2 and SAM to the letter; networks: "
        "these with what was found to help; auto (default): embedded",
    )
    parser.add_argument(
        "--diameter", type=float, metavar="ANGSTROM", help="of the particle, instead of an estimate"
    )
    method = parser.add_argument_group("method", "defaults are the preset's")
    method.add_argument("--encoder", choices=ENCODERS, metavar="NAME", help=", ".join(ENCODERS))
    method.add_argument(
        "--segmenter", choices=SEGMENTERS, metavar="NAME", help=", ".join(SEGMENTERS)
    )
    method.add_argument("--top-k", type=int, metavar="N", help="largest number of proposals")
    method.add_argument(
        "--cut",
        type=_word_or(float, "a score", "auto", "none"),
        metavar="auto|none|SCORE",
        help="which proposals become picks: those like the click, all, or those that score SCORE",
    )
    method.add_argument(
        "--fdr",
        type=float,
        metavar="SHARE",
        help="instead of the cut: as many picks as an expected share of false ones allows",
    )
    method.add_argument(
        "--tau-iou",
        type=float,
        metavar="T",
        help="smallest overlap (IoU) of masks in neighbouring planes",
    )
    method.add_argument(
        "--tau-sim", type=float, metavar="T", help="smallest cosine similarity of a proposal"
    )
    method.add_argument(
        "--tau-sim-finest",
        action=argparse.BooleanOptionalAction,
        help="hold it against the finest level's cells, too",
    )
    method.add_argument(
        "--ratios",
        type=_word_or(_whole_numbers, "whole numbers R,R,...", "auto"),
        metavar="R[,R...]",
        help="pyramid levels in voxels, coarse to fine; 1 for naive matching",
    )
    method.add_argument(
        "--candidate",
        choices=("agreeing", "best"),
        help="which of SAM's masks of a plane a walk takes: the best scored of those that agree "
        "with the mask before, or of all",
    )
    method.add_argument(
        "--merge", choices=("union", "consensus"), help="how to merge the masks of the three axes"
    )
    method.add_argument(
        "--pooling",
        choices=("mask", "core"),
        help="average the query over the prompts' whole masks, or without their rims",
    )
    method.add_argument(
        "--slab",
        type=float,
        metavar="RADII",
        help="thickness to average planes over, in radii of the particle; 0: none",
    )
    method.add_argument(
        "--shrinkage",
        type=_word_or(float, "a number", "none"),
        metavar="none|S",
        help="whiten the features over the tomogram",
    )
    method.add_argument(
        "--normalisation",
        choices=("tomogram", "imagenet"),
        help="whose mean and deviation a network's planes get",
    )
    method.add_argument(
        "--token-size",
        type=_word_or(float, "a length", "auto", "none"),
        metavar="auto|none|ANGSTROM",
        help="a network's token stands for so much (auto: half a diameter); none: a whole plane "
        "fills its input",
    )
    method.add_argument(
        "--plane-shape",
        choices=("aspect", "square"),
        help="a network sees a whole plane in its own aspect, or made a square",
    )
    method.add_argument(
        "--subcell",
        action=argparse.BooleanOptionalAction,
        help="place the maxima of the similarity finer than its cells",
    )
    method.add_argument(
        "--centring",
        action=argparse.BooleanOptionalAction,
        help="move proposals to the middle of what stands out there",
    )
    method.add_argument(
        "--position",
        choices=("mask", "proposal", "halfway"),
        help="a pick is in the middle of its mask, where it was proposed, or half-way",
    )
    method.add_argument(
        "--window",
        type=float,
        metavar="DIAMETERS",
        help="SAM sees so much around a particle, scaled up, in place of the whole plane",
    )
    method.add_argument(
        "--mask-fallback",
        choices=("none", "clicks", "all"),
        help="whose missing masks a ball of the particle's diameter takes the place of; without "
        "it a click is left out and a proposal is no pick",
    )
    method.add_argument(
        "--semantic",
        choices=("none", "union", "dense"),
        help="also write which voxels are of the particle's kind: those of the picks' masks, or "
        "those that their own similarity makes probable",
    )
    method.add_argument(
        "--all-masks",
        action=argparse.BooleanOptionalAction,
        help="masks and refined positions also of the proposals that are left out",
    )


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Device, memory, cache and checkpoints."""
    machine = parser.add_argument_group("machine", "where it works, and with how much memory")
    machine.add_argument(
        "--device", default="auto", metavar="auto|cuda[:N]|mps|cpu", help="for the networks"
    )
    machine.add_argument(
        "--memory",
        metavar="AMOUNT",
        help="to stay within, as 8GB, or ram=16GB,gpu=8GB (default: most of what is free)",
    )
    machine.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep features and embeddings for later runs"
    )
    machine.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="weights of a model, if not where `cryosam weights fetch` puts them; repeatable",
    )
    machine.add_argument(
        "--compile",
        dest="compiled",
        action="store_true",
        help="compile SAM for the GPU first, for many large tomograms",
    )


def resources(args: argparse.Namespace, *, here: bool = True) -> Resources:
    """What `add_resources` was given.

    Args:
        args: of the command.
        here: whether this machine is the one that works.

    Raises:
        InputError: an amount or a checkpoint makes no sense, or there is no such device.
    """
    from aitom_cryosam.checkpoints import given
    from aitom_cryosam.resources import Resources, parse_memory

    ram, gpu = parse_memory(args.memory) if args.memory else (None, None)
    wanted = Resources(
        device=args.device,
        ram_bytes=ram,
        gpu_bytes=gpu,
        cache=args.cache,
        checkpoints=given(args.checkpoint),
        compiled=args.compiled,
    )
    if here and args.device not in ("auto", "cpu"):
        from aitom_cryosam.device import available

        available(args.device)
    return wanted


def tell_unused(args: argparse.Namespace, settings: Settings, available: Resources) -> None:
    """Say which of `add_resources` have no effect; whoever types them always is not stopped."""
    from aitom_cryosam.networks import tell_without_effect

    models = [model.name for model in settings.networks]
    unused = available.unused(models)
    if getattr(args, "search", "") == "full":
        unused.pop("device", None)
    options = {"compiled": "compile", "checkpoints": "checkpoint"}
    tell_without_effect(
        models, [f"--{options.get(name, name)} {value}".strip() for name, value in unused.items()]
    )


def settings(args: argparse.Namespace, available: Resources) -> Settings:
    """The preset with what was typed, as `explained_settings`."""
    return explained_settings(args, available)[0]


def explained_settings(args: argparse.Namespace, available: Resources) -> tuple[Settings, str]:
    """The preset with what was typed, and a line that says which preset it is and why.

    Raises:
        InputError: a value is out of its range, or the preset's weights are missing.
    """
    from aitom_cryosam.settings import choose

    chosen, reason = choose(args.preset, available, typed_settings(args))
    tell_unused(args, chosen, available)
    return chosen, f"Preset {chosen.preset}: {reason}."


def typed_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings by name that were typed, without the preset."""
    from aitom_cryosam.settings import Settings, short_name

    typed: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(args, short_name(field.name), None)
        if value is not None and field.name != "preset":
            absent = value == "none" and field.name in ("shrinkage", "token_size_angstrom")
            typed[field.name] = None if absent else value
    return typed


def refuse(args: argparse.Namespace, names: Sequence[str], sentence: str) -> None:
    """See to it that options were not typed which have no effect.

    Args:
        args: of the command.
        names: of the options in `args`; one that the command lacks was not typed.
        sentence: that says so, with {} or {0} where the option's name goes.

    Raises:
        InputError: the sentence, of the first that was typed.
    """
    for name in names:
        if getattr(args, name, None) is not None:
            option = name.removeprefix("particle_").replace("_", "-")
            raise InputError(sentence.format(f"--{option}"))


def _word_or(convert: Callable[[str], Any], expected: str, *words: str) -> Callable[[str], Any]:
    """An argument type: one of the words as it is, or what `convert` makes of the text."""

    def parse(text: str) -> Any:
        try:
            return text if text in words else convert(text)
        except ValueError:
            listed = f"{', '.join(words)} or {expected}"
            raise argparse.ArgumentTypeError(f"expected {listed}, got {text!r}") from None

    return parse


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(value) for value in text.split(","))


def add_tilt_series(parser: argparse._ActionsContainer) -> None:
    """`--tomograms-star`, or the pixel size and size that it would give."""
    parser.add_argument(
        "--tomograms-star",
        metavar="FILE",
        help="of the RELION project: names, sizes and pixel sizes, for relion4 and relion5",
    )
    parser.add_argument(
        "--unbinned-pixel-size",
        type=float,
        metavar="ANGSTROM",
        help="of the tilt series, for relion4 and relion5",
    )
    parser.add_argument(
        "--unbinned-size",
        type=size_xyz,
        metavar="X,Y,Z",
        help="of the tomogram in unbinned pixels, for relion5",
    )


def tilt_series_of(args: argparse.Namespace) -> TiltSeries | None:
    """What was typed of the tilt series.

    Raises:
        InputError: a size without its pixel size, or both and a file.
    """
    from aitom_cryosam.points.tomogram_info import TiltSeries

    pixel_size, size = args.unbinned_pixel_size, args.unbinned_size
    if args.tomograms_star is not None and (pixel_size, size) != (None, None):
        raise InputError(
            "Expected --tomograms-star or --unbinned-pixel-size, got both; leave one out."
        )
    if pixel_size is None:
        if size is not None:
            raise InputError("--unbinned-size needs --unbinned-pixel-size ANGSTROM too.")
        return None
    if not 0 < pixel_size < math.inf:
        raise InputError(f"Expected --unbinned-pixel-size above 0 Å, got {pixel_size:g}.")
    return TiltSeries(pixel_size, size)


def tomograms_of(args: argparse.Namespace) -> TomogramsStar | None:
    """The tilt series of `--tomograms-star`, if it was typed."""
    from aitom_cryosam.points.tilt_series import read_tomograms_star

    return read_tomograms_star(args.tomograms_star) if args.tomograms_star else None


def tilt_series_of_tomogram(args: argparse.Namespace) -> TiltSeries | None:
    """The tilt series of `args.tomogram`, typed or in `--tomograms-star`.

    Raises:
        InputError: as `unbinned_of`, or the file does not know the tomogram.
    """
    typed, tomograms = tilt_series_of(args), tomograms_of(args)
    return tomograms.of(args.tomogram) if tomograms else typed


def tilt_series_of_record(args: argparse.Namespace, record: Record) -> TiltSeries | None:
    """The tilt series of the tomogram of a run, typed or in `--tomograms-star`.

    It is known by the tomogram's path: names are often those of every folder's reconstruction.

    Raises:
        InputError: as for `tilt_series_of_tomogram`.
    """
    typed, tomograms = tilt_series_of(args), tomograms_of(args)
    return tomograms.of(record.tomogram_path or record.info.name) if tomograms else typed


def count(text: str) -> int:
    """A whole number above 0."""
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def size_xyz(text: str) -> tuple[float, float, float]:
    """Three numbers above 0."""
    try:
        x, y, z = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three numbers X,Y,Z, got {text!r}") from None
    if not (min(x, y, z) > 0 and math.isfinite(x + y + z)):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, got {text!r}")
    return x, y, z


def tilt_range(text: str) -> tuple[float, float]:
    """The lowest and the highest tilt, degrees."""
    try:
        low, high = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH in degrees, got {text!r}") from None
    return low, high


def _flavours(text: str) -> tuple[str, ...]:
    known = ("relion5", "relion4", "relion31", "warp")
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; expected {', '.join(known)}")
    return chosen
