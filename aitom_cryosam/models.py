"""The models that can be asked for by name, and the published files of their weights.

Only what is known about them: finding and checking a file is the work of `checkpoints`. The
publishers state no checksums; those below are stated alike by independent users of the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["filterbank", "contour", "dino", "sam"]

_META = "https://dl.fbaipublicfiles.com"
_LICENCE = "Apache-2.0"
_SAM = "Kirillov et al., Segment Anything, ICCV 2023"
_DINO = "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021"
_DINOV2 = "Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024"
_REGISTERS = "Darcet et al., Vision Transformers Need Registers, ICLR 2024"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A published checkpoint.

    Attributes:
        file: its name, under which it is also kept.
        url: where the publisher keeps it.
        size: bytes, or None if not known.
        sha256: hex, or None if no two independent users have stated it alike.
        licence: SPDX name.
        citation: the paper to cite.
    """

    file: str
    url: str
    size: int | None
    sha256: str | None
    licence: str
    citation: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network, or one of the embedded models that need no weights.

    Attributes:
        name: what the user types.
        family: which builder makes it.
        architecture: the name that the builder's library has for it.
        weights: None for the embedded models.
    """

    name: str
    family: Family
    architecture: str = ""
    weights: Weights | None = None


def _dino(
    name: str,
    architecture: str,
    file: str,
    *,
    size: int | None = None,
    sha256: str | None = None,
) -> Model:
    weights = Weights(
        file=f"{file}.pth",
        url=f"{_META}/dino/{file}/{file}.pth",
        size=size,
        sha256=sha256,
        licence=_LICENCE,
        citation=_DINO,
    )
    return Model(name=name, family="dino", architecture=architecture, weights=weights)


def _dinov2(letter: str, architecture: str, *, registers: bool, size: int, sha256: str) -> Model:
    base = f"dinov2_vit{letter}14"
    file = f"{base}{'_reg4' if registers else ''}_pretrain.pth"
    weights = Weights(
        file=file,
        url=f"{_META}/dinov2/{base}/{file}",
        size=size,
        sha256=sha256,
        licence=_LICENCE,
        citation=f"{_DINOV2}; {_REGISTERS}" if registers else _DINOV2,
    )
    name = f"{base}_reg" if registers else base
    return Model(name=name, family="dino", architecture=architecture, weights=weights)


def _sam(letter: str, file: str, *, size: int, sha256: str) -> Model:
    weights = Weights(
        file=file,
        url=f"{_META}/segment_anything/{file}",
        size=size,
        sha256=sha256,
        licence=_LICENCE,
        citation=_SAM,
    )
    return Model(
        name=f"sam_vit_{letter}", family="sam", architecture=f"vit_{letter}", weights=weights
    )


_ALL = (
    Model(name="filterbank", family="filterbank"),
    Model(name="contour", family="contour"),
    _dinov2(
        "s",
        "vit_small_patch14_dinov2",
        registers=False,
        size=88_283_115,
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    _dinov2(
        "s",
        "vit_small_patch14_reg4_dinov2",
        registers=True,
        size=88_291_785,
        sha256="f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    ),
    _dinov2(
        "b",
        "vit_base_patch14_dinov2",
        registers=False,
        size=346_378_731,
        sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    _dinov2(
        "b",
        "vit_base_patch14_reg4_dinov2",
        registers=True,
        size=346_393_545,
        sha256="73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    ),
    _dinov2(
        "l",
        "vit_large_patch14_dinov2",
        registers=False,
        size=1_217_586_395,
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    _dinov2(
        "l",
        "vit_large_patch14_reg4_dinov2",
        registers=True,
        size=1_217_607_321,
        sha256="36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
    ),
    _dinov2(
        "g",
        "vit_giant_patch14_dinov2",
        registers=False,
        size=4_546_108_579,
        sha256="baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
    ),
    _dinov2(
        "g",
        "vit_giant_patch14_reg4_dinov2",
        registers=True,
        size=4_546_140_349,
        sha256="746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283",
    ),
    _dino("dino_vits16", "vit_small_patch16_224", "dino_deitsmall16_pretrain"),
    _dino("dino_vits8", "vit_small_patch8_224", "dino_deitsmall8_pretrain"),
    _dino(
        "dino_vitb16",
        "vit_base_patch16_224",
        "dino_vitbase16_pretrain",
        size=343_242_485,
        sha256="bf34ad0f424b9029b593e8dc3ed553bf26e88bcba0d32bf3e62a6209cb64c85e",
    ),
    _dino("dino_vitb8", "vit_base_patch8_224", "dino_vitbase8_pretrain"),
    _sam(
        "b",
        "sam_vit_b_01ec64.pth",
        size=375_042_383,
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _sam(
        "l",
        "sam_vit_l_0b3195.pth",
        size=1_249_524_607,
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _sam(
        "h",
        "sam_vit_h_4b8939.pth",
        size=2_564_550_879,
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
)
MODELS: dict[str, Model] = {model.name: model for model in _ALL}
ENCODERS = tuple(name for name, model in MODELS.items() if model.family != "contour")
JUDGED = "filterbank"
"""The encoder whose instances the verdict's odds were learned on."""
SEGMENTERS = tuple(name for name, model in MODELS.items() if model.family in ("contour", "sam"))
