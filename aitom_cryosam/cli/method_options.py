"""Options of the method: the preset and the switches of `Settings`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli.argument_types import whole_numbers, word_or
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.cli.machine_options import warn_of_unused
from aitom_cryosam.models import ENCODERS, SEGMENTERS

if TYPE_CHECKING:
    from aitom_cryosam.resources import Resources
    from aitom_cryosam.settings import Settings


def add_method(parser: argparse.ArgumentParser) -> None:
    """The preset, the particle's diameter and every switch of `Settings`."""
    parser.add_argument(
        "--preset",
        choices=("auto", "embedded", "paper", "networks"),
        default="auto",
        help="embedded: models without weights; paper: DINOv2 and SAM as in the paper; networks: "
        "the same two with what was found to help; auto (default): embedded",
    )
    add_length(parser, "--diameter", "of the particle, instead of an estimate")
    method = parser.add_argument_group("method", "defaults are the preset's")
    method.add_argument("--encoder", choices=ENCODERS, metavar="NAME", help=", ".join(ENCODERS))
    method.add_argument(
        "--segmenter", choices=SEGMENTERS, metavar="NAME", help=", ".join(SEGMENTERS)
    )
    add_count(method, "--top-k", "largest number of proposals")
    method.add_argument(
        "--cut",
        type=word_or(float, "a score", "auto", "none"),
        metavar="auto|none|SCORE",
        help="which proposals become picks: those like the click, all, or those that score at "
        "least SCORE",
    )
    add_number(
        method,
        "--fdr",
        "SHARE",
        "instead of the cut: as many picks as this expected share of false ones allows",
    )
    add_number(method, "--tau-iou", "T", "smallest overlap (IoU) of masks in neighbouring planes")
    add_number(method, "--tau-sim", "T", "smallest cosine similarity of a proposal")
    method.add_argument(
        "--tau-sim-finest",
        action=argparse.BooleanOptionalAction,
        help="apply it to the finest level of the pyramid, too",
    )
    method.add_argument(
        "--ratios",
        type=word_or(whole_numbers, "whole numbers R,R,...", "auto"),
        metavar="R[,R...]",
        help="pyramid levels in voxels, coarse to fine; 1 for naive matching",
    )
    method.add_argument(
        "--candidate",
        choices=("agreeing", "best"),
        help="which of SAM's masks is taken in a plane: the one with the best score of those that "
        "agree with the mask in the plane before, or of all",
    )
    method.add_argument(
        "--merge", choices=("union", "consensus"), help="how to merge the masks of the three axes"
    )
    method.add_argument(
        "--pooling",
        choices=("mask", "core"),
        help="average the query over the prompts' whole masks, or without their rims",
    )
    add_number(
        method,
        "--slab",
        "RADII",
        "thickness to average planes over, in radii of the particle; 0: none",
    )
    method.add_argument(
        "--shrinkage",
        type=word_or(float, "a number", "none"),
        metavar="none|S",
        help="whiten the features over the tomogram",
    )
    method.add_argument(
        "--normalisation",
        choices=("tomogram", "imagenet"),
        help="normalise a network's planes to the mean and deviation of the tomogram or ImageNet",
    )
    method.add_argument(
        "--token-size",
        type=word_or(float, "a length", "auto", "none"),
        metavar="auto|none|ANGSTROM",
        help="length that a network's token stands for (auto: half a diameter); none: a whole "
        "plane fills its input",
    )
    method.add_argument(
        "--plane-shape",
        choices=("aspect", "square"),
        help="show a network a whole plane in its aspect ratio, or stretched to a square",
    )
    method.add_argument(
        "--subcell",
        action=argparse.BooleanOptionalAction,
        help="place the maxima of the similarity more finely than in its cells",
    )
    method.add_argument(
        "--centring",
        action=argparse.BooleanOptionalAction,
        help="move proposals to the centre of the density there",
    )
    method.add_argument(
        "--position",
        choices=("mask", "proposal", "halfway"),
        help="a pick lies in the middle of its mask, where it was proposed, or halfway between",
    )
    add_number(
        method,
        "--window",
        "DIAMETERS",
        "show SAM so much around a particle, enlarged, instead of the whole plane",
    )
    method.add_argument(
        "--mask-fallback",
        choices=("none", "clicks", "all"),
        help="whose missing masks are replaced by a ball of the particle's diameter; else a click "
        "without a mask is left out, and a proposal without one is not picked",
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
        help="also make masks and refined positions for proposals that are left out",
    )
    method.add_argument(
        "--looks",
        type=int,
        choices=(1, 3),
        help="3: where the picks are not certain, searches at three slightly different diameters "
        "decide together; 1: one search, in a third to a half of the time",
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
    warn_of_unused(args, chosen, available)
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
