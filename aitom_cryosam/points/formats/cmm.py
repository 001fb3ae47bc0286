"""ChimeraX and Chimera: marker sets (`.cmm`), Å in their scene.

A map is shown where its header places it, and markers count from there. Sets are classes where
their names say more than `markers`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.table import Table, Unit, text_of
from aitom_cryosam.points.tomogram_info import TomogramInfo, TomogramPicks
from aitom_cryosam.source_file import reading

logger = logging.getLogger(__name__)

_SET, _MARKER, _SCORE = "marker_set", "marker", "score"
_PLAIN = "markers"
_GIVEN = re.compile(r"(marker\s*(s|sets?)?\s*\d*)?", re.I)  # by the program
_COLOURS = ((1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 1, 0), (1, 0.5, 0), (0.5, 0.5, 1))


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is one of markers."""
    return re.match(rb"\s*<", head) is not None and b"<marker_set" in head


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The markers of one tomogram, a set for each class, as spheres of the box's size.

    They are numbered in the order of the picks; the score, if there is one, is an attribute more,
    which ChimeraX keeps.

    Raises:
        InputError: the voxel size is not known, or the tomogram's header cannot be used.
    """
    [(picks, info)] = groups
    origin, step = _scene(info)
    points = origin + picks.points_zyx[:, ::-1] * step + 0.0
    radius = particle.box / 2 * step[0]
    plain = _PLAIN if particle.name == Particle().name else particle.name
    classes = np.array(picks.classes or (plain,) * len(picks), object)
    lines = ["<marker_sets>"]
    for number, name in enumerate(dict.fromkeys(classes.tolist()) or [plain]):
        red, green, blue = _COLOURS[number % len(_COLOURS)]
        lines.append(f"<{_SET} name={quoteattr(name)}>")
        for row in np.flatnonzero(classes == name):
            x, y, z = points[row]
            score = picks.scores[row]
            known = f' {_SCORE}="{score:.6f}"' if np.isfinite(score) else ""
            lines.append(
                f'<{_MARKER} id="{row + 1}" x="{x:.6f}" y="{y:.6f}" z="{z:.6f}" '
                f'r="{red:g}" g="{green:g}" b="{blue:g}" radius="{radius:g}"{known}/>'
            )
        lines.append(f"</{_SET}>")
    return "\n".join([*lines, "</marker_sets>", ""])


def _scene(info: TomogramInfo) -> tuple[np.ndarray, np.ndarray]:
    """(3,) Å each, x y z: voxel 0 in the scene, and from voxel to voxel.

    Where the header is not known, Å from voxel 0.
    """
    placement = info.placement
    if placement is None:
        return np.zeros(3), np.full(3, info.known_voxel_size("The format cmm"))
    origin, step = np.array(placement.origin_xyz), np.array(placement.step_xyz)
    other = info.voxel_size and (np.abs(step - info.voxel_size) > SAME_SIZE * step).any()
    if origin.any() or other:
        logger.warning(
            "%s: its markers count Å from %s in voxels of %s Å, as ChimeraX shows it by its "
            "header; they do not fit where its origin or voxel size is set to others, as by "
            "ArtiaX.",
            info.path,
            ",".join(f"{value:g}" for value in origin),
            " × ".join(f"{value:g}" for value in dict.fromkeys(step.tolist())),
        )
    return origin, step


def read(path: Path) -> Table:
    """All markers of all sets, by their numbers where no two have the same; links are passed.

    Raises:
        InputError: it is not such a file.
    """
    with reading(path, "a file of markers of ChimeraX, XML with a marker_set"):
        sets = list(ElementTree.fromstring(text_of(path)).iter(_SET))
    if not sets:
        raise InputError(f"{path} has no marker_set; expected markers of ChimeraX.")
    found = [(marker, str(one.get("name", ""))) for one in sets for marker in one.iter(_MARKER)]
    numbers = [marker.get("id", "") for marker, _ in found]
    if len(set(numbers)) == len(numbers) and all(re.fullmatch("[0-9]{1,9}", n) for n in numbers):
        found.sort(key=lambda pair: int(pair[0].get("id", "")))
    names = [name for _, name in found]
    scores = [marker.get(_SCORE) for marker, _ in found]
    return Table.of(
        [[marker.get(axis) for axis in "xyz"] for marker, _ in found],
        Unit.SCENE,
        classes=None if all(map(_GIVEN.fullmatch, names)) else names,
        scores=scores if any(scores) else None,
    )
