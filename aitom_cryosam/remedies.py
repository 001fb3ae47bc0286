"""Remedy: what a user can do about an error, in the words of the door they came in by."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from aitom_cryosam.doors import TYPED, Door, running


class Remedy(Enum):
    """What a user can do, by door; one without words of its own takes Python's.

    A project, which runs in the command line, takes the command line's. Of several words the
    first count whose options the running command has; any other option is named with a command
    that has it.
    """

    VOXEL_SIZE = "voxel size"
    TEMPLATE_VOXEL_SIZE = "voxel size of the template"
    REFERENCE_VOXEL_SIZE = "voxel size of the reference"
    MAP_VOXEL_SIZE = "voxel size of the map"
    SHAPE = "size of the tomogram"
    TILT_SERIES = "pixel size of the tilt series"
    TILT_SERIES_SIZE = "size of the tilt series"
    COORDS_ANGPIX = "pixel size of the coordinates"
    MARKERS = "what markers of ChimeraX count"
    MARKERS_FROM_ZERO = "markers of ChimeraX that count from the first voxel"
    PROMPT = "a prompt"
    TYPED_CLICK = "a click in place of a file"
    CLICKS_FILE = "a file in place of a click"
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
    ONE_CLASS = "one class"
    COMPARED_CLASS = "the class that is compared"
    NO_MIN_SCORE = "no smallest score"
    NO_SYMMETRY = "no symmetry"
    ANY_SYMMETRY = "the best symmetry"
    MORE_PICKS = "more picks"
    TILT_RANGE = "range of the tilts"
    OUT_FOLDER = "a folder for the results"
    PIXEL_SIZE = "pixel size of coordinates, as a number to be found out"
    PIXEL_SIZE_OR_COLUMN = "one pixel size of two columns"
    PIXEL_SIZE_OR_TILT_SERIES = "what pixels are meant"
    PIXELS_BESIDE = "pixels beside Å from the centre"
    OTHER_PIXELS = "pixels of prompts that differ"
    TOMOGRAMS_STAR = "tomograms.star"
    COUNT_UNPICKED = "tomograms without picks"
    QUERY_CONTRAST = "contrast of a query"
    TEMPLATE_CONTRAST = "contrast of the template"
    BINNING = "fewer voxels"
    SETTING = "another value of a setting"

    def worded(self, door: Door, **values: Any) -> str:
        """As the end of a sentence, without its full stop."""
        found = _WORDS[self]
        by_door = {Door.PYTHON: found} if isinstance(found, str) else found
        usual = Door.COMMAND_LINE if door is Door.PROJECT else Door.PYTHON
        words = by_door.get(door) or by_door.get(usual) or by_door[Door.PYTHON]
        several = (words,) if isinstance(words, str) else words
        if door not in TYPED:
            return re.sub(r"<(\w+)>", r"\1", several[0]).format(**values)
        typed = [
            re.sub(r"<(\w+)>", lambda name: "--" + name[1].replace("_", "-"), one)
            for one in several
        ]
        fitting = (one for one in typed if not missing_options(one))
        return _with_command(next(fitting, typed[-1])).format(**values)

    def said(self, **values: Any) -> str:
        """As `worded`, at the door of the running program: for what is no error."""
        return self.worded(running().door, **values)


_LINE, _PYTHON, _AITOM, _NAPARI = Door.COMMAND_LINE, Door.PYTHON, Door.AITOM, Door.NAPARI
_PROJECT = Door.PROJECT
_NEARER = "click on a particle's centre, check "
_CONVERT = "convert the file to voxels first, by `cryosam export FILE --to warp"
_IN_PROJECT = "in project.star"
_FETCH = "type `cryosam weights fetch {model}`"
# <name> is an option's: --name on the command line.
_WORDS: dict[Remedy, str | dict[Door, str | tuple[str, ...]]] = {
    Remedy.VOXEL_SIZE: {
        _LINE: "add --voxel-size ANGSTROM",
        _PYTHON: "give voxel_size in Å",
        _AITOM: "give voxel_size, Å, in the op",
        _NAPARI: "fill in the voxel size, Å",
        _PROJECT: f"write it, Å, as its cryosamVoxelSize {_IN_PROJECT}",
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
        _LINE: ("add --tomo FILE, or --shape X,Y,Z in voxels", f"{_CONVERT} --tomo TOMO`"),
        _PYTHON: "give shape_zyx in voxels",
    },
    Remedy.TILT_SERIES: {
        _LINE: (
            "add --tomograms-star FILE or --unbinned-pixel-size ANGSTROM",
            "add --tomograms-star FILE",
        ),
        _PYTHON: "give its TiltSeries",
        _PROJECT: f"write its tomograms_star {_IN_PROJECT}",
    },
    Remedy.TILT_SERIES_SIZE: {
        _LINE: (
            "add --tomograms-star FILE, or --unbinned-pixel-size and --unbinned-size",
            "add --tomograms-star FILE",
            f"{_CONVERT} --tomograms-star FILE`",
        ),
        _PYTHON: "give its TiltSeries with size_xyz",
        _PROJECT: f"write its tomograms_star {_IN_PROJECT}",
    },
    Remedy.COORDS_ANGPIX: {
        _LINE: (
            "check --voxel-size, or add --coords-angpix {size:g}",
            "check --voxel-size, or add --truth-angpix {size:g} if that is the truth",
            "add --truth-angpix {size:g}",
            f"{_CONVERT} --coords-angpix {{size:g}}`",
        ),
        _PYTHON: "check the voxel size, or give coords_angpix={size:g}",
        _PROJECT: f"check its cryosamVoxelSize, or write coords_angpix {{size:g}} {_IN_PROJECT}",
    },
    Remedy.MARKERS: {
        _LINE: (
            "add --coords-angpix 1 if the markers count Å, or --coords-angpix {size:g} if voxels",
            "add --truth-angpix 1 if the markers count Å, or --truth-angpix {size:g} if voxels",
            f"{_CONVERT} --coords-angpix 1` if the markers count Å, or {{size:g}} in place of 1 if "
            "voxels",
        ),
        _PYTHON: "give coords_angpix=1 if the markers count Å, or {size:g} if voxels",
        _PROJECT: f"write coords_angpix 1 {_IN_PROJECT} if the markers count Å, or {{size:g}} if "
        "voxels",
    },
    Remedy.MARKERS_FROM_ZERO: {
        _LINE: (
            "add --coords-angpix 1",
            "add --truth-angpix 1",
            f"{_CONVERT} --coords-angpix 1`",
        ),
        _PYTHON: "give coords_angpix=1",
        _PROJECT: f"write coords_angpix 1 {_IN_PROJECT}",
    },
    Remedy.PROMPT: {
        _LINE: "add --prompt X,Y,Z or --prompts FILE",
        _PYTHON: "give prompts as rows of x, y, z in voxels",
        _NAPARI: "click on a particle",
        _PROJECT: f"name a file of clicks as its cryosamPrompts {_IN_PROJECT}",
    },
    Remedy.TYPED_CLICK: {
        _LINE: (
            "give clicks by --prompt X,Y,Z or --reject X,Y,Z",
            "give clicks by --prompt X,Y,Z",
            "write clicks into a CSV file with the columns tomogram, x, y, z",
        ),
        _PYTHON: "give clicks by themselves, as [(x, y, z)]",
    },
    Remedy.CLICKS_FILE: {
        _LINE: (
            "give files of clicks by --prompts FILE or --rejects FILE",
            "give files of clicks by --prompts FILE",
        ),
        _PYTHON: "give its points, as read_points of aitom_cryosam.points.reading has them",
        _PROJECT: f"name a file of clicks as its cryosamPrompts {_IN_PROJECT}",
    },
    Remedy.DIAMETER: {
        _LINE: "check --diameter and --voxel-size",
        _PYTHON: "check diameter_angstrom and the voxel size",
        _AITOM: "check diameter and voxel_size in the op",
        _NAPARI: "check the diameter and the voxel size",
        _PROJECT: f"check the diameter and its cryosamVoxelSize {_IN_PROJECT}",
    },
    Remedy.NEARER_PROMPT: {
        _LINE: f"{_NEARER}--contrast, give its --diameter",
        _PYTHON: f"{_NEARER}contrast, give its diameter_angstrom",
        _AITOM: f"{_NEARER}contrast, give its diameter in the op",
        _NAPARI: f"{_NEARER}the contrast, fill in its diameter",
        _PROJECT: f"{_NEARER}its cryosamContrast and the diameter {_IN_PROJECT}",
    },
    Remedy.NEARER_PROMPT_OR_WINDOW: {
        _LINE: (
            f"{_NEARER}--contrast, give its --diameter, or try --window 3, --segmenter contour or "
            "--mask-fallback clicks",
            f"{_NEARER}--contrast, give its --diameter",
        ),
        _PYTHON: f"{_NEARER}contrast, give its diameter_angstrom, or try window=3, "
        'segmenter="contour" or mask_fallback="clicks"',
        _AITOM: f"{_NEARER}contrast, give its diameter in the op, or a window of 3, the "
        "segmenter contour or the mask_fallback clicks",
        _NAPARI: f"{_NEARER}the contrast, fill in its diameter, or take the preset embedded",
        _PROJECT: f"{_NEARER}its cryosamContrast and the diameter, or try a window of 3, the "
        f"segmenter contour or the mask_fallback clicks {_IN_PROJECT}",
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
        _PROJECT: f"allow more with --memory, or take a smaller encoder {_IN_PROJECT}",
    },
    Remedy.SMALLER_SEGMENTER: {
        _LINE: "allow more with --memory, or take a smaller --segmenter",
        _PYTHON: "allow more in Resources, or take a smaller segmenter",
        _AITOM: "allow more memory in the op, or take a smaller segmenter",
        _PROJECT: f"allow more with --memory, or take a smaller segmenter {_IN_PROJECT}",
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
    Remedy.CHECKPOINT: {
        _PYTHON: f"take the encoder that the file belongs to, or {_FETCH}",
        _LINE: f"take the --encoder that the file belongs to, or {_FETCH}",
        _PROJECT: f"take the encoder {_IN_PROJECT} that the file belongs to, or {_FETCH}",
    },
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
    Remedy.COMPARED_CLASS: {
        _LINE: "add --class NAME to compare one",
        _PYTHON: "give particle_class to compare one",
    },
    Remedy.ONE_CLASS: {
        _LINE: "add --class NAME if they are of several",
        _PYTHON: "give particle_class if they are of several",
        _PROJECT: "name a folder with one file for each tomogram",
    },
    Remedy.NO_MIN_SCORE: "leave <min_score> out",
    Remedy.NO_SYMMETRY: "leave <symmetry> out",
    Remedy.ANY_SYMMETRY: {_LINE: "try --symmetry auto", _PYTHON: "try symmetry=None"},
    Remedy.MORE_PICKS: {
        _LINE: "click on more particles, keep more proposals (`cryosam select RESULT --cut "
        "SCORE`), or add more tomograms",
        _PYTHON: "click on more particles, lower the cut, or add more tomograms",
    },
    Remedy.TILT_RANGE: {
        _LINE: "give a range, such as --tilt-range -60,60",
        _PYTHON: "give a range, such as MissingWedge(-60, 60)",
    },
    Remedy.OUT_FOLDER: "give a folder as <out>",
    Remedy.PIXEL_SIZE: {
        _LINE: (
            "correct it, or add --coords-angpix ANGSTROM",
            "correct it, or add --truth-angpix ANGSTROM if that is the truth",
            f"correct it, or {_CONVERT} --coords-angpix ANGSTROM`",
        ),
        _PYTHON: "correct it, or give coords_angpix in Å",
        _PROJECT: f"correct it, or write coords_angpix, Å, {_IN_PROJECT}",
    },
    Remedy.PIXEL_SIZE_OR_COLUMN: {
        _LINE: (
            "remove the column that does not count, or add --coords-angpix ANGSTROM",
            "remove the column that does not count, or add --truth-angpix ANGSTROM if that is the "
            "truth",
            "remove the column that does not count",
        ),
        _PYTHON: "remove the column that does not count, or give coords_angpix in Å",
        _PROJECT: f"remove the column that does not count, or write coords_angpix, Å, "
        f"{_IN_PROJECT}",
    },
    Remedy.PIXEL_SIZE_OR_TILT_SERIES: {
        _LINE: (
            "add --coords-angpix ANGSTROM or --tomograms-star FILE",
            "add --coords-angpix ANGSTROM",
            "add --tomograms-star FILE, or --truth-angpix ANGSTROM if that is the truth",
            "add --truth-angpix ANGSTROM",
            f"{_CONVERT} --coords-angpix ANGSTROM`",
        ),
        _PYTHON: "give coords_angpix in Å or tomograms",
        _PROJECT: f"write coords_angpix, Å, or tomograms_star {_IN_PROJECT}",
    },
    Remedy.PIXELS_BESIDE: {
        _LINE: (
            "add --coords-angpix ANGSTROM",
            "add --truth-angpix ANGSTROM if that is the truth",
            "remove the latter",
        ),
        _PYTHON: "give coords_angpix in Å",
    },
    Remedy.OTHER_PIXELS: {
        _LINE: (
            "add --coords-angpix ANGSTROM if its pixels differ",
            f"if its pixels differ, {_CONVERT} --coords-angpix ANGSTROM`",
        ),
        _PYTHON: "give coords_angpix in Å if its pixels differ",
        _PROJECT: f"write coords_angpix, Å, {_IN_PROJECT} if its pixels differ",
    },
    Remedy.TOMOGRAMS_STAR: {
        _LINE: "add --tomograms-star FILE",
        _PYTHON: "give the project's tomograms.star",
        _PROJECT: f"write its tomograms_star {_IN_PROJECT}",
    },
    Remedy.COUNT_UNPICKED: {
        _LINE: "--count-unpicked counts their particles as missed",
        _PYTHON: "count_unpicked=True counts their particles as missed",
    },
    Remedy.QUERY_CONTRAST: {
        _LINE: "add --contrast {contrast} if it has not, or click in a tomogram of this contrast",
        _PYTHON: 'open it with contrast="{contrast}" if it has not, or click in a tomogram of '
        "this contrast",
        _PROJECT: f"write {{contrast}} as its cryosamContrast {_IN_PROJECT} if it has not, or "
        "click in a tomogram of this contrast",
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
        _PROJECT: f"write {{named}} {_IN_PROJECT}",
    },
}


_OPTION = re.compile(
    r"(?<![\w-])--[a-z][a-z-]*(?![\w-])(?: [A-Z][\w,]*| \{[^}]*\}| \d[^\s`]*)?"
    r"(?=[^`]*(?:`[^`]*`[^`]*)*$)"
)
"""An option with its value, outside of what is quoted as a whole command."""


def missing_options(words: str) -> list[str]:
    """The options in a text that the running command lacks, but for those of a named command."""
    known = running().options
    if known is None:
        return []
    found = (one.split()[0] for one in _OPTION.findall(re.sub(r"--\S+( \S+)? of `", "`", words)))
    return [one for one in found if one not in known]


def _with_command(words: str) -> str:
    """A text in which an option that the running command lacks is named with one that has it."""
    missing = missing_options(words)
    return _OPTION.sub(
        lambda one: one[0] + (" of `cryosam pick`" if one[0].split()[0] in missing else ""), words
    )
