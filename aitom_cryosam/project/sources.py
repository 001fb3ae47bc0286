"""Where the tomograms of a project come from: folders, lists, patterns, RELION and Warp."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path
from xml.etree import ElementTree

from aitom_cryosam import copick_project
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import distinct, file_stem, series_name, tomogram_root
from aitom_cryosam.points.star_syntax import read_blocks
from aitom_cryosam.points.table import NAMES, PIXELS, text_of
from aitom_cryosam.points.tilt_series import is_tomograms_star, read_tomograms_star
from aitom_cryosam.source_file import reading
from aitom_cryosam.volumes.reading import is_volume
from aitom_cryosam.wording import listed, plural

logger = logging.getLogger(__name__)

_NO_TOMOGRAM = re.compile(r"_labels\.(mrc(\.gz)?|zarr)$")
_WHOLE, _HALF = "rlnTomoReconstructedTomogram", "rlnTomoReconstructedTomogramHalf1"
_OF_ISONET = tuple(f"rln{kind}TomoName" for kind in ("Corrected", "Denoised", "Deconv"))
_VOLUMES = (*NAMES[::-1], _WHOLE, *_OF_ISONET, _HALF)
"""The labels under which IsoNet and others list volumes, what was reconstructed first."""
_SAMPLES, _SAMPLE = 5, 4096  # bytes
_LISTS = (".txt", ".lst", ".list")
_EXPECTED = (
    "a tomogram, a folder of them, a list of paths (.txt), a pattern in quotes, RELION's "
    "tomograms.star, Warp's .settings or folder of .tomostar, or a project of copick (CONFIG.json)"
)


def tomograms_of(source: str | Path) -> list[Path]:
    """The files of all tomograms that a source names, each once, in its order.

    Args:
        source: a tomogram; a folder with tomograms, or with folders of them; a text file with a
            path a line; a pattern as `recon/*/*_rec.mrc`; RELION's `tomograms.star`, or a STAR
            file that lists volumes, as IsoNet's; Warp's `.settings` of tilt series, or a folder
            of `.tomostar` that such a file beside it names; a project of copick, `CONFIG.json`,
            or `CONFIG.json/*/TYPE@ANGSTROM`.

    Raises:
        InputError: it names none, or one that is not there.
    """
    path = Path(source)
    in_copick = copick_project.named(str(source))
    if in_copick is not None:
        found = [one.path for one in in_copick]
    elif not os.path.exists(path) and has_magic(str(source)):
        found = [Path(one) for one in sorted(glob(str(source), recursive=True))]
    elif not os.path.exists(path):
        raise InputError(f"There is no {path}; expected {_EXPECTED}.")
    elif is_volume(path):
        found = [path]
    elif os.path.isdir(path):
        found = _in_folder(path)
    else:
        readers = {".star": _of_star, ".settings": _of_warp, **dict.fromkeys(_LISTS, _listed)}
        if path.suffix.lower() not in readers:
            raise InputError(f"Cannot tell which tomograms {path} names; expected {_EXPECTED}.")
        found = readers[path.suffix.lower()](path)
    found = list(dict.fromkeys(one.absolute() for one in found))
    if not found:
        raise InputError(f"{source} names no tomogram; expected {_EXPECTED}.")
    missing = [one for one in found if not os.path.exists(one)]
    if missing:
        raise InputError(
            f"{source} names {len(found)} tomograms of which {len(missing)} are not there, "
            f"first {missing[0]}; correct it, or start where its paths begin."
        )
    return found


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each tomogram, of which no two are the same: RELION's, if that will do.

    Of one file name in different folders those folders come in front that tell them apart.
    """
    label = distinct(map(str, paths))
    names = [label(str(path)).replace("/", "_") for path in paths]
    counts = Counter(names)
    stems = [file_stem(path).replace(" ", "_") for path in paths]
    names = [name if counts[name] == 1 else stem for name, stem in zip(names, stems, strict=True)]
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result


def warn_of_versions(paths: Iterable[Path]) -> None:
    """Say if a tilt series comes more than once, as by its half maps or another binning."""
    versions = defaultdict(list)
    for path in paths:
        versions[path.parent, series_name(path.name)].append(path.name)
    several = [names for names in versions.values() if len(names) > 1]
    if several:
        logger.warning(
            "%d tilt series come more than once, as %s; a pattern in quotes would take one of "
            "each.",
            len(several),
            " and ".join(several[0][:3]),
        )


def warn_of_copies(paths: Iterable[Path]) -> None:
    """Say if two files hold the same voxels: a link, or a copy under another name.

    Of files of one length the same bytes at several places are taken for the same voxels; nothing
    is said of folders, as OME-Zarr's, but of links to them.
    """
    found: dict[object, list[Path]] = defaultdict(list)
    for path in paths:
        with suppress(OSError):
            found[_content(path)].append(path)
    copies = [same for same in found.values() if len(same) > 1]
    if copies:
        others = f" (and so with {len(copies) - 1} more)" if len(copies) > 1 else ""
        logger.warning(
            "The same voxels are in %s%s; each file is picked in: leave all but one of a tomogram "
            "out.",
            listed(map(str, copies[0])),
            others,
        )


def _content(path: Path) -> object:
    """What two files of the same voxels have in common, and others hardly ever."""
    place = path.resolve()
    size = place.stat().st_size
    if os.path.isdir(place) or size <= _SAMPLES * _SAMPLE:
        return place
    sample = []
    with place.open("rb") as file:
        for part in range(1, _SAMPLES + 1):  # not of the header, whose labels have a date
            file.seek(size * part // (_SAMPLES + 1))
            sample.append(file.read(_SAMPLE))
    return (size, *sample) if len(set(b"".join(sample))) > 1 else place


def _in_folder(folder: Path) -> list[Path]:
    if any(folder.glob("[!.]*.tomostar")):
        settings = [one for one in _settings_near(folder) if _folder(one, "DataFolder") == folder]
        if not settings:
            raise InputError(
                f"{folder} has Warp's .tomostar files, but no .settings beside it says where their "
                "tomograms are; give that file, or the folder of reconstructions."
            )
        return _of_warp(settings[0])
    for pattern in ("[!.]*", "[!.]*/[!.]*"):
        found = sorted(
            one
            for one in folder.glob(pattern)
            if is_volume(one) and not _NO_TOMOGRAM.search(one.name)
        )
        if found:
            return found
    return []


def _listed(path: Path) -> list[Path]:
    lines = (line.strip() for line in text_of(path).splitlines())
    return [_from(path, line) for line in lines if line and not line.startswith("#")]


def _of_star(path: Path) -> list[Path]:
    """Of RELION's `tomograms.star`, or of another list of volumes, as IsoNet has it."""
    blocks = read_blocks(path)
    if not is_tomograms_star(blocks):
        for block in blocks:
            for label in _VOLUMES if not block.has(PIXELS[:2]) else ():
                names = block.column(label) if block.has([label]) else []
                if names and all(is_volume(Path(name)) for name in names):
                    _tell_halves(path, names if label == _HALF else [])
                    return [_from(path, name) for name in names]
    rows = read_tomograms_star(path).tomograms
    if not rows or not all(rows):
        raise InputError(
            f"{path} names no reconstructed tomograms; expected rlnTomoReconstructedTomogram: "
            "reconstruct them, or give the folder they are in."
        )
    _tell_halves(path, [row[0] for row in rows if row[0].endswith("_half1.mrc")])
    return [_from(path, row[0]) for row in rows]


def _tell_halves(path: Path, halves: Sequence[str]) -> None:
    if halves:
        logger.warning(
            "%s names only halves of %s, such as %s, which have more noise than the whole; "
            "reconstruct the whole or denoise the halves, and take that.",
            path,
            plural(len(halves), "tomogram"),
            halves[0],
        )


def _of_warp(path: Path) -> list[Path]:
    """The reconstruction of each `.tomostar` that the settings name."""
    reconstructions = _folder(path, "ProcessingFolder") / "reconstruction"
    data = _folder(path, "DataFolder")
    series = sorted(one.stem for one in data.glob("[!.]*.tomostar"))
    if not series:
        raise InputError(
            f"{path} is not of tilt series: its DataFolder, {data}, has no .tomostar; give the "
            "settings of tilt series, or the folder of reconstructions."
        )
    there: dict[str, list[Path]] = {}
    for one in sorted(reconstructions.glob("[!.]*.mrc")):
        there.setdefault(tomogram_root(one.name), []).append(one)
    found = [there[name] for name in series if name in there]
    if not found:
        raise InputError(
            f"{reconstructions} has no tomogram of the {len(series)} tilt series of {path}; "
            "reconstruct them, or give the folder they are in."
        )
    if len(found) < len(series):
        lost = [name for name in series if name not in there]
        logger.warning("%d tilt series are not reconstructed, first %s.", len(lost), lost[0])
    several = next((one for one in found if len(one) > 1), None)
    if several:
        raise InputError(
            f"{reconstructions} has {' and '.join(path.name for path in several)}; give a pattern "
            "in quotes that takes one of each tilt series."
        )
    return [one for [one] in found]


def _settings_near(folder: Path) -> list[Path]:
    near = [*folder.glob("[!.]*.settings"), *folder.parent.glob("[!.]*.settings")]
    return sorted(one for one in near if os.path.isfile(one))


def _folder(settings: Path, parameter: str) -> Path:
    """That Warp's settings name."""
    with reading(settings, "Warp's settings"):
        parameters = ElementTree.fromstring(text_of(settings)).iter("Param")
        named = {one.get("Name"): one.get("Value") for one in parameters}
        return _from(settings, str(named[parameter]))


def _from(file: Path, text: str) -> Path:
    """A path that a file names: from the working folder, or the file's or one above it.

    RELION and Warp write paths from the folder of their project, where their files lie deeper.
    """
    homes = [Path(), *file.absolute().parents]
    places = [home / text for home in homes]
    return next((place for place in places if os.path.exists(place)), places[1])
