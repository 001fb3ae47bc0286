"""Names of tomograms, from a path and as each program writes them, and of a result's files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

_VOXELS = r"\d+(\.\d+)?Apx.*"
# What programs put behind a tomogram's name, in any order and letters of any size: AreTomo,
# IMOD, Warp, EMAN2, cryoCARE, IsoNet, RELION, pytom-match-pick and people.
_APPENDED = re.compile(
    r"([._-]+("
    + _VOXELS
    + r"""|
    \d+\.\d+a|\d+(\.\d+)?(ang|angstrom|apix)|(align)?bin_?\d+x?|3d|half_?[12]|odd|even|evn|
    (8|16|32)[._-]?bit|vol|2nd|full|rec|recon|reconstruction|tomo|tomogram|ali|aligned|preali|st|
    corrected|ctf|ctfcorr|3dctf|ctf3d|dctf|preproc|deconv|dec|dcv|den|dn|denoised?|cryocare|topaz|
    isonet2?|n2v|ddw|deepdewedge|nad|bp|
    filt|filtered|flt|unfiltered|lp_?\d+|sirt([_-]?(like)?[_-]?\d*)|wbp|sart|dw|dose[_-]?(weighted|filt(ered)?)|
    rot|rotx|rx|flip|flipx|flipz|flipyz|flipped|trim|particles|picks|scores|
    gz|bz2|mrc|mrcs|map|hdf|em|tif|tiff|zarr|ome|tomostar|star|mdoc|xml|aln))+$""",
    re.I | re.X,
)
_ZARR = re.compile(r"(\.ome)?\.zarr(\.zip)?$|\.ozx$", re.I)
_COPICK = re.compile(
    r"(?:^|[\\/])ExperimentRuns[\\/]([^\\/]+)[\\/]"
    r"(?:VoxelSpacing[\d.]+[\\/][^\\/]+\.zarr[\\/]?|Picks[\\/][^\\/]+\.json)$"
)
# Annotations of the CryoET Data Portal, in the folders it has now and those of its first year.
_PORTAL = re.compile(
    r"(?:^|[\\/])([^\\/]+)[\\/](?:Reconstructions|Tomograms)[\\/]VoxelSpacing([\d.]+)[\\/]Annotations"
    r"[\\/](?:[^\\/]+[\\/])?[^\\/]+\.ndjson$"
)
_PREPENDED = re.compile(
    r"^(rec|recon|corrected|denoised|deconv|isonet|_?[\w-]*unet-[a-z]+)_(?=.)"
    r"|^tomo(gram)?_(?=.*[a-z])",  # not of tomo_01
    re.I,
)

RESULT = {
    "picks": "_picks.star",
    "proposals": "_proposals.star",
    "labels": "_labels.mrc",
    "query": "_query.npz",
    "trace": "_trace.npz",
    "run": "_run.json",
    "picture": "_picks.png",
    "suggested": "_suggested.star",
    "suggested_picture": "_suggested.png",
    "semantic": "_semantic.mrc",
    "probability": "_probability.mrc",
    "distance": "_distance.mrc",
}
"""What each kind of a result's files appends to the tomogram's name."""


def tomogram_root(name: str) -> str:
    """The name Warp knows a tomogram by: no folder, no extension, nothing from `_10.00Apx` on.

    Spaces and quotes become underscores, as does a `#` in front.

    >>> tomogram_root("recon/TS_01_10.00Apx.mrc")
    'TS_01'
    >>> tomogram_root("0012.tomostar")
    '0012'
    >>> tomogram_root("TS_03.mrc.tomostar")
    'TS_03.mrc'
    """
    last = _last(name)
    stem = last.removesuffix(".tomostar") if last.endswith(".tomostar") else file_stem(last)
    return star_word(re.sub(f"_{_VOXELS}$", "", stem))


def relion_name(name: str) -> str:
    """The name RELION knows a tomogram by: also without `rec_` and `_half1`, `_half2`."""
    return re.sub(r"_half[12]$", "", tomogram_root(name).removeprefix("rec_"))


def series_name(name: str) -> str:
    """The name of the tilt series: without all that reconstruction and filtering add to it.

    Only for finding out which tomogram is meant; what is written keeps its own name.

    >>> series_name("TS_01_ODD_Vol.mrc"), series_name("rec_TS_01_half1_bin4.rec")
    ('TS_01', 'TS_01')
    >>> series_name("TS_01_2.mrc")
    'TS_01_2'
    """
    last = star_word(_last(name))
    return _PREPENDED.sub("", _APPENDED.sub("", last) or last)


def one_number(name: str, other: str) -> bool:
    """Whether both are one number: formats that number tomograms, and tables, write no zeros.

    >>> one_number("0051", "51"), one_number("051", "52"), one_number("TS_1", "TS_1")
    (True, False, False)
    """
    return name.isdigit() and other.isdigit() and name.lstrip("0") == other.lstrip("0")


def distinct(*sources: Iterable[str]) -> Callable[[str], str]:
    """What to call each tomogram of some files, so that no two are mixed up.

    As RELION does; but where one source has `TS_01/rec.mrc` and `TS_02/rec.mrc`, two tomograms
    of one file name, those folders that tell them apart stand in front: `TS_01/rec`.

    Args:
        sources: the names in each file, or each group of files.

    Returns:
        What gives a name its label.
    """
    depths: dict[str, int] = {}
    for names in sources:
        found: dict[str, set[tuple[str, ...]]] = {}
        for name in set(names):
            found.setdefault(relion_name(name), set()).add(_folders(name))
        for root, folders in found.items():
            depths[root] = max(depths.get(root, 0), _telling(folders))

    def label(name: str) -> str:
        root = relion_name(name)
        depth = depths.get(root, 0)
        return "/".join((*_folders(name)[-depth:], root)) if depth else root

    return label


def same_place(name: str, other: str) -> bool:
    """Whether two names can be of one file: the folders of one are the last of the other's."""
    one, two = sorted((_folders(name), _folders(other)), key=len)
    return not one or two[-len(one) :] == one


def _last(name: str) -> str:
    """The file's name, or that of the run where it lies in the folders of copick."""
    run = _COPICK.search(name)
    return run[1] if run else re.split(r"[\\/]", name)[-1]


def _folders(name: str) -> tuple[str, ...]:
    parts = re.split(r"[\\/]+", name)[:-1]
    return tuple(part for part in parts if part not in ("", "."))


def _telling(folders: set[tuple[str, ...]]) -> int:
    """How many folders tell files of one name apart; 0 if they may be the same file."""
    longest = {
        one
        for one in folders
        if one and not any(len(o) > len(one) and o[-len(one) :] == one for o in folders)
    }
    if len(longest) < 2:
        return 0
    depths = range(1, max(map(len, longest)) + 1)
    return next(depth for depth in depths if len({one[-depth:] for one in longest}) == len(longest))


def star_word(text: str) -> str:
    """The text as one value of a STAR row: a space or a quote ends it, a `#` in front hides it."""
    return re.sub(r"[\s\"']+|^#+", "_", text)


def file_stem(path: str | Path) -> str:
    """File name without folder and without `.mrc`, `.rec`, `.map` (and `.gz`) or `.ome.zarr`.

    A tomogram in the folders of copick is called as its run: the file has the same name in each.

    >>> file_stem("TS_1.5.rec.gz"), file_stem("a/TS_01.ome.zarr"), file_stem("TS_02.zarr.zip")
    ('TS_1.5', 'TS_01', 'TS_02')
    >>> file_stem("data/ExperimentRuns/TS_03/VoxelSpacing10.000/wbp.zarr")
    'TS_03'
    """
    run = _COPICK.search(str(path))
    name = run[1] if run else _ZARR.sub("", Path(path).name)
    for extension in (".gz", ".bz2", ".mrc", ".rec", ".map"):
        if name.lower().endswith(extension):
            name = name[: -len(extension)]
    return name


def portal_voxel_size(path: str | Path) -> float | None:
    """Å, of the voxels that annotations of the Data Portal count, by their folders, or None.

    >>> portal_voxel_size("TS_5/Reconstructions/VoxelSpacing10.012/Annotations/100/a_point.ndjson")
    10.012
    """
    found = _PORTAL.search(str(Path(path).absolute()))
    return float(found[2]) if found and found[2].count(".") < 2 else None


def warp_voxel_size(name: str) -> float | None:
    """Å, as Warp puts it into the name of a file, in two decimals; None where it does not.

    >>> warp_voxel_size("matching/TS_01_13.48Apx_ribosome.star")
    13.48
    """
    found = re.search(r"_(\d+(?:\.\d+)?)Apx(?![A-Za-z])[^\\/]*$", name)
    return float(found[1]) if found else None


def result_stem(path: str | Path) -> str:
    """The name of a tomogram's file of points or labels without what programs append to it.

    >>> result_stem("a/TS_01_picks.star"), result_stem("TS_02_labels.mrc"), result_stem("TS_03.csv")
    ('TS_01', 'TS_02', 'TS_03')
    >>> result_stem("overlay/ExperimentRuns/TS_04/Picks/me_1_ribosome.json")
    'TS_04'
    >>> result_stem("TS_5/Reconstructions/VoxelSpacing10.0/Annotations/100/vault_point.ndjson")
    'TS_5'
    """
    if run := _COPICK.search(str(path)) or _PORTAL.search(str(path)):
        return run[1]
    ends = r"_(picks|proposals|labels|cryosam|info|relion\d+|warp|particles|spheres|filaments)$"
    return re.sub(ends, "", Path(path).stem)
