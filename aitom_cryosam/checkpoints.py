"""Checkpoints: where files of weights are, what they hold, and whether they are what they claim.

Nothing here goes to the network but `fetch`. torch is imported only where a file is read.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from aitom_cryosam.digests import Digests
from aitom_cryosam.download import download
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model, Weights
from aitom_cryosam.outputs import output_folder
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.source_file import sha256_of
from aitom_cryosam.wording import printable

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

VARIABLE = "AITOM_CRYOSAM_WEIGHTS"
PUBLISHED = {name: model for name, model in MODELS.items() if model.weights is not None}
"""The models that need weights, by name."""

_WRAPPERS = ("model", "teacher", "state_dict")
_NONE: Mapping[str, Path] = {}


def weights_of(model: Model) -> Weights:
    """The published file of a model.

    Raises:
        InputError: the model needs none.
    """
    if model.weights is None:
        raise InputError(f"{model.name} needs no weights; expected one of {', '.join(PUBLISHED)}.")
    return model.weights


def find(model: Model, given: Mapping[str, Path] = _NONE) -> Path | None:
    """The file of a model's weights on this machine, or None.

    Args:
        model: one that needs weights.
        given: files by model name; they come before the folders and files named by the
            variable AITOM_CRYOSAM_WEIGHTS, the user's cache and TORCH_HOME.

    Raises:
        InputError: a file was given for the model, but is not there.
    """
    if model.name in given:
        return _existing(Path(given[model.name]))
    file = weights_of(model).file
    for place in (*_named(), _cache(), _torch_home() / "hub" / "checkpoints"):
        path = place if place.name == file else place / file
        if path.is_file():
            return path
    return None


def require(model: Model, given: Mapping[str, Path] = _NONE, *, checked: bool = True) -> Path:
    """The file of a model's weights on this machine, as `find`.

    Args:
        model: one that needs weights.
        given: as for `find`.
        checked: whether a file that is not given must be the published one, where its checksum
            is known.

    Raises:
        InputError: there is none; says how to get it with and without a network. Or it is
            another file than the published one.
    """
    path = find(model, given)
    if path is None:
        raise InputError(
            f"The weights of {model.name} are not on this machine",
            Remedy.WEIGHTS,
            model=model.name,
            url=weights_of(model).url,
            folder=home(),
        )
    weights = weights_of(model)
    checked = checked and model.name not in given and weights.sha256 is not None
    if checked and digest(path) != weights.sha256:
        raise InputError(
            f"{path} is not the published {weights.file}: its sha256 is {digest(path)}",
            Remedy.OTHER_WEIGHTS,
            model=model.name,
            path=path,
        )
    return path


def used(models: Iterable[Model], given: Mapping[str, Path] = _NONE) -> dict[str, dict[str, str]]:
    """File and checksum of the weights of models, by name, as `require`.

    Raises:
        InputError: a model's are not there.
    """
    files = {model.name: require(model, given) for model in models}
    return {name: {"file": str(path), "sha256": digest(path)} for name, path in files.items()}


def home() -> Path:
    """The folder that `fetch` fills: the first that AITOM_CRYOSAM_WEIGHTS names, or the cache."""
    return next((place for place in _named() if place.suffix != ".pth"), _cache())


def load(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by their names, on the CPU, mapped from disk where possible.

    A state dict that lies in a larger one under "model", "teacher" or "state_dict" is taken
    out. No code that a file may hold is run.

    Raises:
        InputError: there is no such file, or it is a web page, cut short, holds more than
            tensors, or holds no state dict.
    """
    try:
        return _state(Path(path))
    except _Flaw as flaw:
        raise InputError(
            f"{path} {flaw}; expected a PyTorch state dict: `cryosam weights fetch` gets the "
            "published ones."
        ) from flaw


def config(path: str | Path) -> dict[str, Any] | None:
    """The JSON object beside a checkpoint (tiny.json for tiny.pth), or None if there is none.

    It holds the widths and depths of a model that differs from the published one.

    Raises:
        InputError: the file is not a JSON object.
    """
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        return None
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{beside} is not JSON that can be read; mend or remove it.") from None
    if not isinstance(found, dict):
        raise InputError(
            f"{beside} holds a JSON {type(found).__name__}; expected an object, as "
            '{"embed_dim": 192}.'
        )
    return found


def digest(path: str | Path) -> str:
    """SHA-256 of a file in hex, as `Digests`: read again, by any process, only when it changed."""
    return Digests(_cache() / "digests.json").of(path)


def verify(path: str | Path, weights: Weights) -> None:
    """Whether a file is the published one; if no checksum is known, whether it can be one.

    Raises:
        InputError: it is not; says what it is instead.
    """
    try:
        _check(Path(path), weights)
    except _Flaw as flaw:
        raise InputError(
            f"{path} {flaw}; remove it and type `cryosam weights fetch {weights.file}`."
        ) from flaw


def fetch(model: Model, *, folder: str | Path | None = None, progress: bool = False) -> Path:
    """Download a model's weights, unless they are there and right. All of the file, or nothing.

    Args:
        model: one that needs weights.
        folder: where they are kept; `home()` if None.
        progress: show a bar on stderr.

    Returns:
        The file.

    Raises:
        InputError: the network does not deliver, the disk does not suffice, or what comes is
            not the published file.
    """
    weights = weights_of(model)
    place = home() if folder is None else Path(folder)
    try:
        target = output_folder(place) / weights.file
    except InputError as error:
        raise InputError(
            f"Weights cannot be written into {place}", Remedy.WEIGHTS_FOLDER
        ) from error
    if target.exists():
        try:
            _check(target, weights)
        except _Flaw as flaw:
            logger.warning("%s %s; it is downloaded again.", target, flaw)
        else:
            return target
    free = shutil.disk_usage(target.parent).free
    if weights.size is not None and free < weights.size:
        raise InputError(
            f"{target.parent} has {free / 1e9:.1f} GB left and {weights.file} needs "
            f"{weights.size / 1e9:.1f} GB",
            Remedy.WEIGHTS_FOLDER,
        )
    offline = _offline(target.parent)
    part = target.with_name(f".{target.name}.part")
    if weights.sha256 is None:  # what is resumed could not be told from a mixture
        part.unlink(missing_ok=True)
    try:
        download(weights.url, part, hint=offline, size=weights.size, progress=progress)
        _check(part, weights)
        part.replace(target)
    except _Flaw as flaw:
        part.unlink()
        raise InputError(
            f"What came from {weights.url} {flaw}, so it was not kept; try again, or {offline}."
        ) from flaw
    except OSError as error:
        raise InputError(
            f"Cannot write {target} ({error.strerror})", Remedy.WEIGHTS_FOLDER
        ) from error
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()
    return target


def named(text: str) -> Model:
    """The model with weights that goes by a name, or by the name of its published file.

    Raises:
        InputError: there is none; lists the known names.
    """
    for name, model in PUBLISHED.items():
        if text in (name, weights_of(model).file):
            return model
    raise InputError(f"Expected one of {', '.join(PUBLISHED)}, got {text!r}.")


def given(texts: Sequence[str]) -> dict[str, Path]:
    """Files by model name, from what was typed as `--checkpoint`.

    Args:
        texts: each NAME=FILE, or FILE if that has the name under which it was published.

    Raises:
        InputError: a name is not known or comes twice, or a file is not there.
    """
    files: dict[str, Path] = {}
    for text in texts:
        name, _, file = text.partition("=")
        if name not in PUBLISHED:
            name, file = Path(text).name, text
        try:
            model = named(name)
        except InputError as error:
            raise InputError(
                f"The checkpoint {text} does not say of which model; expected NAME=FILE with NAME "
                f"one of {', '.join(PUBLISHED)}."
            ) from error
        if model.name in files:
            raise InputError(f"Two checkpoints are given for {model.name}; leave one out.")
        files[model.name] = _existing(Path(file))
    return files


class _Flaw(Exception):
    """What is wrong with a file: the end of a sentence that begins with it."""


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise InputError(f"The checkpoint {path} is not a file on this machine; correct its path.")
    return path


def _named() -> list[Path]:
    entries = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(entry).expanduser() for entry in entries if entry]


def _cache() -> Path:
    return user_cache_path("aitom_cryosam", appauthor=False)


def _torch_home() -> Path:
    """As torch.hub finds it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser()


def _offline(folder: Path) -> str:
    return f"download it on another machine and copy it into {folder}"


def _check(path: Path, weights: Weights) -> None:
    """Raise _Flaw unless it is the published file, or could be where no checksum is known."""
    _check_whole(path, weights.size)
    if weights.sha256 is None:
        _state(path)
        return
    found = sha256_of(path)  # of what is on the disk now: whoever asks for a check means that
    if found != weights.sha256:
        raise _Flaw(
            f"is not the published {weights.file}: its sha256 is {found}, expected {weights.sha256}"
        )


def _check_whole(path: Path, size: int | None = None) -> bytes:
    """Raise _Flaw for what an interrupted or diverted download leaves; else how it begins."""
    try:
        with path.open("rb") as file:
            head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise _Flaw(f"cannot be read ({error.strerror})") from error
    there = path.stat().st_size
    if head.startswith(b"<"):
        raise _Flaw("is a web page and no checkpoint")
    if size is not None and there < size:
        raise _Flaw(f"is cut short: it has {there} of {size} bytes")
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):  # the contents are listed last
        raise _Flaw("is cut short: the end of it is missing")
    return head


def _state(path: Path) -> dict[str, torch.Tensor]:
    import torch

    head = _check_whole(path)
    objects = _Flaw("holds Python objects besides tensors, which may run code")
    if head[:1] == b"\x80" and head[1:2] > b"\x02":  # torch writes the pickle protocol 2
        raise objects
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))
    except MemoryError:
        raise
    except Exception as error:  # of many types, for files that torch has not written
        if "GLOBAL" in str(error):  # the name of something that is not allowed
            raise objects from error
        raise _Flaw("is cut short or no checkpoint at all") from error
    while isinstance(found, Mapping):
        inner = [found[key] for key in _WRAPPERS if isinstance(found.get(key), Mapping)]
        if not inner:
            break
        found = inner[0]
    if not (
        isinstance(found, Mapping)
        and found
        and all(isinstance(value, torch.Tensor) for value in found.values())
    ):
        raise _Flaw("holds no state dict, which is tensors by their names")
    for name, value in found.items():
        _check_tensor(str(name), value)
    return dict(found)


def _check_tensor(name: str, value: torch.Tensor) -> None:
    import torch

    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise _Flaw(f"holds a sparse, quantised or empty tensor, {printable(name)}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise _Flaw(f"holds NaN or infinity in {printable(name)}")
