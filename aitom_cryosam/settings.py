"""Settings: the switches of the method. Lengths in Å; nothing here depends on a voxel size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

from aitom_cryosam.checkpoints import require
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import ENCODERS, JUDGED, MODELS, SEGMENTERS, Model
from aitom_cryosam.presets import VALUES, networks, resolve, useful_ratios
from aitom_cryosam.resources import Resources


class _OfPreset:
    """In place of a value that is not given: the preset's is taken."""

    def __repr__(self) -> str:
        return "<as the preset>"


_OF_PRESET: Any = _OfPreset()
MIN_WINDOW = 2.0
"""Diameters: a smaller window would not show a particle's surroundings."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All switches of the method; what is not given is as the preset has it.

    Attributes:
        preset: the name these settings start from, one of `presets.VALUES`.
        encoder: plane encoder, one of `models.ENCODERS`.
        segmenter: plane segmenter, one of `models.SEGMENTERS`.
        diameter_angstrom: of the particle, Å; None to estimate it from the prompts.
        max_diameter_angstrom: of the largest particle an estimate may give, Å.
        tau_iou: smallest overlap of the masks of adjacent planes of a walk.
        candidate: which of SAM's masks of a plane a walk takes: the best scored of those that
            are "agreeing" with the mask before by `tau_iou`, or the "best" scored of all.
        merge: how the three axes' masks become one: "union" (paper) or "consensus".
        tau_sim: cosine similarity below which a cell is dropped, with all that lies in it.
        tau_sim_finest: whether that holds for the cells of the finest level, too, as the paper can
            be read. In its authors' code it does not: the level has its `top_k` maxima, however
            low.
        ratios: pyramid levels in voxels, coarse to fine; (1,) for naive matching; "auto" for
            those of (16, 8, 4) whose cells are no larger than the particle's radius.
        top_k: number of proposals.
        pooling: over which voxels of a prompt's mask the query is averaged (eq. 4): "mask" for
            all of them (paper), "core" for those within half a radius of its middle.
        slab: planes averaged before they are encoded, in particle radii; 0 encodes every plane.
        shrinkage: of the whitening of the features over the tomogram, 0 to 1; None for none.
        normalisation: of the planes for a network encoder: by the tomogram's own mean and
            deviation ("tomogram", as the paper's authors do) or ImageNet's ("imagenet").
        token_size_angstrom: of tomogram, Å, that one token of a network encoder stands for, the
            planes being cut into tiles of the network's size; None fits a whole plane (paper),
            "auto" is half a particle's diameter.
        plane_shape: of a whole plane as a network encoder sees it: "square", as the paper's
            authors do, or its own "aspect".
        subcell: whether a maximum of the similarity lies at the vertex of the parabola through it
            and its neighbours, or in the middle of its cell, as in the paper.
        centring: whether proposals are moved to the middle of what stands out there. Without
            it, as in the paper, a proposal is as precise as a token.
        position: where a pick is: in the middle of its mask (paper), at its proposal, or half-way
            ("halfway") between both.
        window: side of the window around a particle that SAM sees, in diameters; None shows it
            the whole plane (paper).
        mask_fallback: whose missing masks a ball of the particle's diameter takes the place of:
            those of "all", of "clicks", so that no clicked particle is lost but another proposal
            without a mask is no pick, or of "none" (paper).
        semantic: the segmentation M of the whole tomogram that is also written: "union" of the
            picks' masks (paper), "dense" for the voxels whose own similarity makes them
            probable, with that probability, or "none".
        all_masks: whether proposals that the cut leaves out get a mask, too, and with it a
            position as precise as a pick's. The verdict does not need it.
        looks: number of searches, at slightly different diameters, that decide together where one
            leaves much open: 3, or 1. Of the encoder that the probabilities were learned with.
        cut: which proposals become picks: "auto" (see `scoring.verdict.judged`), "none" for all,
            or a score.
        fdr: the largest share of false picks to expect, in place of the cut; None for the cut.
            Of the encoder that the probabilities were learned with.

    Raises:
        InputError: there is no such preset, or a value is out of its range.
    """

    preset: str = "embedded"
    encoder: str = _OF_PRESET
    segmenter: str = _OF_PRESET
    diameter_angstrom: float | None = None
    max_diameter_angstrom: float = _OF_PRESET
    tau_iou: float = _OF_PRESET
    candidate: Literal["agreeing", "best"] = _OF_PRESET
    merge: Literal["union", "consensus"] = _OF_PRESET
    tau_sim: float = _OF_PRESET
    tau_sim_finest: bool = _OF_PRESET
    ratios: tuple[int, ...] | Literal["auto"] = _OF_PRESET
    top_k: int = _OF_PRESET
    pooling: Literal["mask", "core"] = _OF_PRESET
    slab: float = _OF_PRESET
    shrinkage: float | None = _OF_PRESET
    normalisation: Literal["tomogram", "imagenet"] = _OF_PRESET
    token_size_angstrom: float | Literal["auto"] | None = _OF_PRESET
    plane_shape: Literal["aspect", "square"] = _OF_PRESET
    subcell: bool = _OF_PRESET
    centring: bool = _OF_PRESET
    position: Literal["mask", "proposal", "halfway"] = _OF_PRESET
    window: float | None = _OF_PRESET
    mask_fallback: Literal["none", "clicks", "all"] = _OF_PRESET
    semantic: Literal["none", "union", "dense"] = _OF_PRESET
    all_masks: bool = _OF_PRESET
    looks: Literal[1, 3] = _OF_PRESET
    cut: float | Literal["auto", "none"] = _OF_PRESET
    fdr: float | None = _OF_PRESET

    @classmethod
    def of(
        cls, preset: str = "auto", *, resources: Resources | None = None, **changes: Any
    ) -> Settings:
        """The settings of a preset, the same for the command line, Python and AITom.

        Args:
            preset: "embedded", "paper", "networks", or "auto" (see `presets.resolve`).
            resources: device and checkpoints; what the machine has if None.
            changes: settings that take the place of the preset's.

        Raises:
            InputError: as for `choose`.
        """
        return choose(preset, resources or Resources(), changes)[0]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """What `dataclasses.asdict` gave, after a way through JSON, which has no tuples.

        Version 0.1 wrote the `short_name` of each.

        Raises:
            InputError: a name is not known, or a value is out of its range.
        """
        known = {short_name(field.name): field.name for field in fields(cls)}
        given: dict[str, Any] = {}
        for name, value in values.items():
            if short_name(name) not in known:
                raise InputError(f"There is no setting {name!r}; is it from a newer version?")
            given[known[short_name(name)]] = tuple(value) if isinstance(value, list) else value
        return cls(**given)

    @property
    def changes(self) -> dict[str, Any]:
        """Those that are not as their preset has them, by name."""
        usual = {**VALUES[self.preset], "preset": self.preset, "diameter_angstrom": None}
        return {name: value for name, value in vars(self).items() if value != usual[name]}

    @property
    def unused(self) -> dict[str, Any]:
        """Those of `changes` that have no effect beside the rest."""
        return {name: value for name, value in self.changes.items() if _idle(self, name)}

    @property
    def networks(self) -> list[Model]:
        """The models that need weights, encoder first, each once."""
        return networks(self.encoder, self.segmenter)

    def levels(self, diameter_voxels: float) -> tuple[int, ...]:
        """`ratios`, for a particle of this diameter."""
        return useful_ratios(diameter_voxels) if isinstance(self.ratios, str) else self.ratios

    def slab_planes(self, diameter_voxels: float) -> int:
        """`slab`, for a particle of this diameter: planes, 1 at least."""
        return max(1, round(self.slab * diameter_voxels / 2))

    def __post_init__(self) -> None:
        if not (isinstance(self.preset, str) and self.preset in VALUES):
            raise InputError(f"Expected a preset of {', '.join(VALUES)}, got {self.preset!r}.")
        for name, value in VALUES[self.preset].items():
            if getattr(self, name) is _OF_PRESET:
                object.__setattr__(self, name, value)
        for name, (good, expected) in _CHECKS.items():
            value = getattr(self, name)
            if not good(value):
                raise InputError(f"Expected {expected} as {short_name(name)}, got {value!r}.")
        check_fdr(self.fdr, beside=None)
        if self.fdr is not None and self.encoder != JUDGED:
            raise InputError(
                f"False picks cannot be counted with the encoder {self.encoder}: probabilities "
                f"were learned with {JUDGED}."
            )
        check_fdr(self.fdr, beside=self.cut)


def check_fdr(fdr: Any, *, beside: Any) -> None:
    """Refuse what is no share of false picks, and one beside a cut.

    Args:
        fdr: to be checked; None if there is none.
        beside: the cut; "auto" or None if there is none.

    Raises:
        InputError: saying which of them.
    """
    if fdr is None:
        return
    if not (_between(fdr, 0, 1) and fdr < 1):
        raise InputError(f"Expected a share of false picks from 0 to below 1 as fdr, got {fdr!r}.")
    if beside not in (None, "auto"):
        raise InputError("Expected a cut or an fdr, got both; leave one out.")


def short_name(field: str) -> str:
    """What a user calls a setting: `--diameter`, or "diameter" in an op, always in Å."""
    return field.removesuffix("_angstrom")


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _between(value: Any, low: float, high: float) -> bool:
    return _finite(value) and low <= value <= high


def _positive(value: Any) -> bool:
    return _finite(value) and value > 0


def _count(value: Any) -> bool:
    return isinstance(value, Integral) and _positive(value)


def _falling(values: Any) -> bool:
    """Whether it is a tuple of strictly falling counts."""
    return (
        isinstance(values, tuple)
        and len(values) > 0
        and all(map(_count, values))
        and all(high > low for high, low in pairwise(values))
    )


def _one_of(*words: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in words, f"{', '.join(words[:-1])} or {words[-1]}"


_YES_OR_NO = (lambda value: isinstance(value, bool)), "True or False"
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "encoder": (lambda value: value in ENCODERS, f"one of {', '.join(ENCODERS)}"),
    "segmenter": (lambda value: value in SEGMENTERS, f"one of {', '.join(SEGMENTERS)}"),
    "diameter_angstrom": (lambda value: value is None or _positive(value), "a length above 0 Å"),
    "max_diameter_angstrom": (_positive, "a length above 0 Å"),
    "tau_iou": (lambda value: _between(value, 0, 1), "a number from 0 to 1"),
    "candidate": _one_of("agreeing", "best"),
    "merge": _one_of("union", "consensus"),
    "tau_sim": (lambda value: _between(value, -1, 1), "a number from -1 to 1"),
    "ratios": (
        lambda value: value == "auto" or _falling(value),
        "whole numbers from 1 that fall, as (16, 8, 4), or auto",
    ),
    "top_k": (_count, "a whole number from 1"),
    "pooling": _one_of("mask", "core"),
    "slab": (lambda value: _between(value, 0, 2), "a number of radii from 0 to 2"),
    "shrinkage": (
        lambda value: value is None or _between(value, 0, 1),
        "a number from 0 to 1, or None",
    ),
    "normalisation": _one_of("tomogram", "imagenet"),
    "token_size_angstrom": (
        lambda value: value in (None, "auto") or _positive(value),
        "a length above 0 Å, auto, or None",
    ),
    "plane_shape": _one_of("aspect", "square"),
    "tau_sim_finest": _YES_OR_NO,
    "subcell": _YES_OR_NO,
    "centring": _YES_OR_NO,
    "position": _one_of("mask", "proposal", "halfway"),
    "window": (
        lambda value: value is None or (_positive(value) and value >= MIN_WINDOW),
        f"a number of diameters from {MIN_WINDOW:g}, or None",
    ),
    "mask_fallback": _one_of("none", "clicks", "all"),
    "semantic": _one_of("none", "union", "dense"),
    "all_masks": _YES_OR_NO,
    "looks": ((lambda value: _count(value) and value in (1, 3)), "1 or 3"),
    "cut": (lambda value: value in ("auto", "none") or _finite(value), "auto, none or a score"),
}
"""Of each setting, what makes a value good, and the words for that."""

PRESETS = {name: Settings(preset=name) for name in VALUES}
"""The settings of each preset, by its name."""
_NOTHING: Mapping[str, Any] = {}
_FAMILIES = {
    "candidate": ("segmenter", ("sam",)),
    "window": ("segmenter", ("sam",)),
    "normalisation": ("encoder", ("dino",)),
    "token_size_angstrom": ("encoder", ("dino", "sam")),
    "plane_shape": ("encoder", ("dino", "sam")),
    "looks": ("encoder", ("filterbank",)),
}
"""Settings that say something to models of some families only."""


def refuse_idle(settings: Settings, given: Iterable[str]) -> None:
    """See to it that nothing was given which has no effect beside the rest.

    Args:
        settings: all of them.
        given: the names of those that the user gave; one that is None there turns nothing on.

    Raises:
        InputError: the first of them that has none.
    """
    for name in given:
        if sentence := _idle(settings, name):
            raise InputError(sentence)


def _idle(settings: Settings, name: str) -> str:
    """Why a setting has no effect beside the rest; empty where it has."""
    role, families = _FAMILIES.get(name, ("", ()))
    if not role or getattr(settings, name) is None:
        return ""
    model = getattr(settings, role)
    if MODELS[model].family not in families:
        return (
            f"The setting {short_name(name)} has no effect with the {role} {model}; leave it out, "
            f"or take another {role}."
        )
    if name == "plane_shape" and settings.token_size_angstrom is not None:
        return (
            "The setting plane_shape is of whole planes, and the encoder sees tiles; leave it out, "
            "or take none as token_size."
        )
    return ""


def choose(
    name: str, resources: Resources, changes: Mapping[str, Any] = _NOTHING
) -> tuple[Settings, str]:
    """The settings of a preset, and why it is this one.

    Args:
        name: as for `presets.resolve`.
        resources: device and checkpoints.
        changes: settings by name that take the place of the preset's; only the weights of the
            networks that remain are needed.

    Returns:
        The settings, and the reason as part of a sentence ("no weights of sam_vit_h").

    Raises:
        InputError: the name is not known, a setting is out of its range or has no effect, weights
            that are needed are not on this machine, or the device does not exist.
    """
    # Only its networks are asked for here, and it has no probabilities that "fdr" could count.
    paper = replace(PRESETS["paper"], **{k: v for k, v in changes.items() if k != "fdr"})
    name, reason = resolve(name, resources, paper.networks)
    settings = replace(PRESETS[name], **changes)
    refuse_idle(settings, changes)
    for model in settings.networks:
        require(model, resources.checkpoints)
    return settings, reason
