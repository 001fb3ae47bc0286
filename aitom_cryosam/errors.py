"""The one error a user can cause, and the remedies that each door puts into its own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from enum import Enum
from typing import Any


class Door(Enum):
    """Where the user came in: it decides how a remedy is worded."""

    COMMAND_LINE = "command line"
    PYTHON = "Python"
    AITOM = "AITom"
    NAPARI = "napari"


class Remedy(Enum):
    """What a user can do, by door; a door without words of its own takes Python's."""

    VOXEL_SIZE = "voxel size"
    TEMPLATE_VOXEL_SIZE = "voxel size of the template"
    REFERENCE_VOXEL_SIZE = "voxel size of the reference"
    MAP_VOXEL_SIZE = "voxel size of the map"
    SHAPE = "size of the tomogram"
    TILT_SERIES = "pixel size of the tilt series"
    TILT_SERIES_SIZE = "size of the tilt series"
    COORDS_ANGPIX = "pixel size of the coordinates"
    PROMPT = "a prompt"
    DIAMETER = "diameter"
    NEARER_PROMPT = "a prompt nearer to the particle"
    NEARER_PROMPT_OR_WINDOW = "a prompt nearer to the particle, or another segmenter"
    OVERWRITE = "replace what is there"
    SMALLER_ENCODER = "more memory, or a smaller encoder"
    SMALLER_SEGMENTER = "more memory, or a smaller segmenter"
    SMALLER_TOMOGRAM = "more memory, or a smaller tomogram"
    LARGER_LIMIT = "a larger limit, or a smaller tomogram"
    ANY_DEVICE = "another device"
    CPU = "less on the device"
    CHECKPOINT = "the right weights"
    WEIGHTS = "weights that are missing"
    OTHER_WEIGHTS = "weights that are not the published ones"
    WEIGHTS_FOLDER = "another folder for weights"
    DISK = "room on the disk"
    CACHE = "another cache"
    RUN_AGAIN = "the result again"
    NO_CLASS = "no class"
    NO_MIN_SCORE = "no smallest score"
    NO_SYMMETRY = "no symmetry"
    ANY_SYMMETRY = "the best symmetry"
    MORE_PICKS = "more picks"
    TILT_RANGE = "range of the tilts"
    OUT_FOLDER = "a folder for the results"
    PIXEL_SIZE = "pixel size of coordinates, as a number to be found out"
    PIXEL_SIZE_OR_COLUMN = "one pixel size of two columns"
    PIXEL_SIZE_OR_TILT_SERIES = "what pixels are meant"
    OTHER_PIXELS = "pixels of prompts that differ"
    TOMOGRAMS_STAR = "tomograms.star"
    COUNT_UNPICKED = "tomograms without picks"
    QUERY_CONTRAST = "contrast of a query"
    TEMPLATE_CONTRAST = "contrast of the template"
    BINNING = "fewer voxels"
    SETTING = "another value of a setting"

    def worded(self, door: Door, **values: Any) -> str:
        """As the end of a sentence, without its full stop."""
        words = _WORDS[self]
        if isinstance(words, dict):
            words = words.get(door, words[Door.PYTHON])
        if door is Door.COMMAND_LINE:
            words = re.sub(r"<(\w+)>", lambda name: "--" + name[1].replace("_", "-"), words)
        return re.sub(r"<(\w+)>", r"\1", words).format(**values)

    def said(self, **values: Any) -> str:
        """As `worded`, at the door of the running program: for what is no error."""
        return self.worded(_doors[-1], **values)


_LINE, _PYTHON, _AITOM, _NAPARI = Door.COMMAND_LINE, Door.PYTHON, Door.AITOM, Door.NAPARI
_NEARER = "click on a particle's centre, check "
# <name> is an option's: --name on the command line.
_WORDS: dict[Remedy, str | dict[Door, str]] = {
    Remedy.VOXEL_SIZE: {
        _LINE: "add --voxel-size ANGSTROM",
        _PYTHON: "give voxel_size in Å",
        _AITOM: "give voxel_size, Å, in the op",
        _NAPARI: "fill in the voxel size, Å",
    },
    Remedy.TEMPLATE_VOXEL_SIZE: {
        _LINE: "add --template-voxel-size ANGSTROM",
        _PYTHON: "give map_voxel_size in Å",
    },
    Remedy.REFERENCE_VOXEL_SIZE: {
        _LINE: "add --reference-voxel-size ANGSTROM",
        _PYTHON: "give map_voxel_size in Å",
    },
    Remedy.MAP_VOXEL_SIZE: {
        _LINE: "add --map-voxel-size ANGSTROM",
        _PYTHON: "give map_voxel_size in Å",
    },
    Remedy.SHAPE: {
        _LINE: "add --tomo FILE, or --shape X,Y,Z in voxels",
        _PYTHON: "give shape_zyx in voxels",
    },
    Remedy.TILT_SERIES: {
        _LINE: "add --tomograms-star FILE or --unbinned-pixel-size ANGSTROM",
        _PYTHON: "give its TiltSeries",
    },
    Remedy.TILT_SERIES_SIZE: {
        _LINE: "add --tomograms-star FILE, or --unbinned-pixel-size and --unbinned-size",
        _PYTHON: "give its TiltSeries with size_xyz",
    },
    Remedy.COORDS_ANGPIX: {
        _LINE: "check --voxel-size, or add --coords-angpix {size:g}",
        _PYTHON: "check the voxel size, or give coords_angpix={size:g}",
    },
    Remedy.PROMPT: {
        _LINE: "add --prompt X,Y,Z or --prompts FILE",
        _PYTHON: "give prompts as rows of x, y, z in voxels",
        _NAPARI: "click on a particle",
    },
    Remedy.DIAMETER: {
        _LINE: "check --diameter and --voxel-size",
        _PYTHON: "check diameter_angstrom and the voxel size",
        _AITOM: "check diameter and voxel_size in the op",
        _NAPARI: "check the diameter and the voxel size",
    },
    Remedy.NEARER_PROMPT: {
        _LINE: f"{_NEARER}--contrast, give its --diameter",
        _PYTHON: f"{_NEARER}contrast, give its diameter_angstrom",
        _AITOM: f"{_NEARER}contrast, give its diameter in the op",
        _NAPARI: f"{_NEARER}the contrast, fill in its diameter",
    },
    Remedy.NEARER_PROMPT_OR_WINDOW: {
        _LINE: f"{_NEARER}--contrast, give its --diameter, or try --window 3, "
        "--segmenter contour or --mask-fallback clicks",
        _PYTHON: f"{_NEARER}contrast, give its diameter_angstrom, or try window=3, "
        'segmenter="contour" or mask_fallback="clicks"',
        _AITOM: f"{_NEARER}contrast, give its diameter in the op, or a window of 3, the "
        "segmenter contour or the mask_fallback clicks",
        _NAPARI: f"{_NEARER}the contrast, fill in its diameter, or take the preset embedded",
    },
    Remedy.OVERWRITE: {
        _LINE: "choose another output, or add --overwrite to replace it",
        _PYTHON: "choose another output, or give overwrite=True to replace it",
        _NAPARI: "choose another folder, or tick overwrite",
    },
    Remedy.SMALLER_ENCODER: {
        _LINE: "allow more with --memory, or take a smaller --encoder",
        _PYTHON: "allow more in Resources, or take a smaller encoder",
        _AITOM: "allow more memory in the op, or take a smaller encoder",
    },
    Remedy.SMALLER_SEGMENTER: {
        _LINE: "allow more with --memory, or take a smaller --segmenter",
        _PYTHON: "allow more in Resources, or take a smaller segmenter",
        _AITOM: "allow more memory in the op, or take a smaller segmenter",
    },
    Remedy.SMALLER_TOMOGRAM: {
        _LINE: "allow more with --memory, or bin the tomogram by 2",
        _PYTHON: "allow more in Resources, or bin the tomogram by 2",
        _AITOM: "allow more memory in the op, or bin the tomogram by 2",
        _NAPARI: "close other programs, or bin the tomogram by 2",
    },
    Remedy.LARGER_LIMIT: {
        _LINE: "give the job more (--memory can only lower it), or bin the tomogram by 2",
        _PYTHON: "give the job more (Resources can only lower it), or bin the tomogram by 2",
    },
    Remedy.ANY_DEVICE: {
        _LINE: "use --device auto",
        _PYTHON: 'use device="auto"',
    },
    Remedy.CPU: {
        _LINE: "close other programs on it, take a smaller model, or add --device cpu",
        _PYTHON: 'close other programs on it, take a smaller model, or use device="cpu"',
    },
    Remedy.CHECKPOINT: "take the <encoder> that the file belongs to, or type `cryosam weights "
    "fetch {model}`",
    Remedy.WEIGHTS: {
        _LINE: "type `cryosam weights fetch {model}`, or download {url} on another machine and "
        "copy it into {folder}, or, if you have the file, add --checkpoint {model}=FILE",
        _PYTHON: "type `cryosam weights fetch {model}`, or download {url} on another machine and "
        "copy it into {folder}, or, if you have the file, name it in the checkpoints",
    },
    Remedy.OTHER_WEIGHTS: {
        _LINE: "remove it and type `cryosam weights fetch {model}`, or add --checkpoint "
        "{model}={path} if it is meant",
        _PYTHON: "remove it and type `cryosam weights fetch {model}`, or name it in the "
        "checkpoints if it is meant",
    },
    Remedy.WEIGHTS_FOLDER: "free some space, or choose another <folder>",
    Remedy.DISK: "free some, or set <cache> or TMPDIR to another folder",
    Remedy.CACHE: "choose another <cache>, or leave it out",
    Remedy.RUN_AGAIN: "use the file alone, in another folder, or run again with <overwrite>",
    Remedy.NO_CLASS: "leave <class> out",
    Remedy.NO_MIN_SCORE: "leave <min_score> out",
    Remedy.NO_SYMMETRY: "leave <symmetry> out",
    Remedy.ANY_SYMMETRY: {_LINE: "try --symmetry auto", _PYTHON: "try symmetry=None"},
    Remedy.MORE_PICKS: "click on more particles, lower <cut>, or add more tomograms",
    Remedy.TILT_RANGE: {
        _LINE: "give a range, such as --tilt-range -60,60",
        _PYTHON: "give a range, such as MissingWedge(-60, 60)",
    },
    Remedy.OUT_FOLDER: "give a folder as <out>",
    Remedy.PIXEL_SIZE: {
        _LINE: "correct it, or add --coords-angpix ANGSTROM",
        _PYTHON: "correct it, or give coords_angpix in Å",
    },
    Remedy.PIXEL_SIZE_OR_COLUMN: {
        _LINE: "remove the column that does not count, or add --coords-angpix ANGSTROM",
        _PYTHON: "remove the column that does not count, or give coords_angpix in Å",
    },
    Remedy.PIXEL_SIZE_OR_TILT_SERIES: {
        _LINE: "add --coords-angpix ANGSTROM or --tomograms-star FILE",
        _PYTHON: "give coords_angpix in Å or tomograms",
    },
    Remedy.OTHER_PIXELS: {
        _LINE: "add --coords-angpix ANGSTROM if its pixels differ",
        _PYTHON: "give coords_angpix in Å if its pixels differ",
    },
    Remedy.TOMOGRAMS_STAR: {
        _LINE: "add --tomograms-star FILE",
        _PYTHON: "give the project's tomograms.star",
    },
    Remedy.COUNT_UNPICKED: {
        _LINE: "--count-unpicked counts their particles as missed",
        _PYTHON: "count_unpicked=True counts their particles as missed",
    },
    Remedy.QUERY_CONTRAST: {
        _LINE: "add --contrast {contrast} if it has not, or click in a tomogram of this contrast",
        _PYTHON: 'open it with contrast="{contrast}" if it has not, or click in a tomogram of '
        "this contrast",
    },
    Remedy.TEMPLATE_CONTRAST: {
        _LINE: "if protein is dark there, add --template-contrast dark",
        _PYTHON: 'if protein is dark there, give contrast="dark"',
    },
    Remedy.BINNING: {
        _LINE: "add --binning 2 or more",
        _PYTHON: "give a binning of 2 or more",
    },
    Remedy.SETTING: {
        _LINE: "add {typed}",
        _PYTHON: "give {named}",
    },
}


class InputError(ValueError):
    """A file, option or value that cannot be used: one sentence for the user.

    The sentence says what came, what was expected and what to do. The command line prints it
    on stderr and exits with status 2; anything else that is raised is a defect.

    Args:
        problem: the sentence; without its full stop and the remedy, if there is one.
        remedy: what to do.
        values: that the remedy names.

    Attributes:
        problem: as above.
        remedy: as above, or None if the sentence is complete.
        door: whose words `str` takes; None for those of the running program.
    """

    def __init__(self, problem: str, remedy: Remedy | None = None, **values: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.values = values
        self.door: Door | None = None

    def __str__(self) -> str:
        return self.worded(self.door or _doors[-1])

    def worded(self, door: Door) -> str:
        """The sentence as a door says it."""
        if self.remedy is None:
            return self.problem
        return f"{self.problem}; {self.remedy.worded(door, **self.values)}."

    def instead(self, remedies: dict[Remedy, Remedy]) -> InputError:
        """The same problem, with another remedy for some."""
        found = remedies.get(self.remedy, self.remedy) if self.remedy else None
        return InputError(self.problem, found, **self.values)


def expect_kind(value: object, kind: type, what: str) -> None:
    """Refuse what a caller in Python has taken for something else.

    Args:
        value: that was given.
        kind: that it must be of.
        what: is expected, in the words of the sentence.

    Raises:
        InputError: it is of another kind.
    """
    if not isinstance(value, kind):
        raise InputError(f"Expected {what}, got a value of the type {type(value).__name__}.")


_doors = [Door.PYTHON]  # of the running program, the last one counts


@contextmanager
def program_of(door: Door) -> Iterator[None]:
    """All that is said meanwhile is in the words of a door; for the program's own main."""
    _doors.append(door)
    try:
        yield
    finally:
        _doors.pop()


class at_door(ContextDecorator):
    """Errors that leave the block, or the decorated function, speak in the words of a door."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def __enter__(self) -> at_door:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, InputError):
            error.door = self.door
