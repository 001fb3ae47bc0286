"""Checkpoints: where files of weights are, and whether they are the published ones.

Nothing here goes to the network but `fetch`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from aitom_cryosam.checkpoint_file import Flaw, refuse_other
from aitom_cryosam.digests import Digests
from aitom_cryosam.download import download
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model, Weights
from aitom_cryosam.outputs import output_folder
from aitom_cryosam.remedies import Remedy

logger = logging.getLogger(__name__)

VARIABLE = "AITOM_CRYOSAM_WEIGHTS"
PUBLISHED = {name: model for name, model in MODELS.items() if model.weights is not None}
"""The models that need weights, by name."""

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
        if os.path.isfile(path):
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


def digest(path: str | Path) -> str:
    """SHA-256 of a file in hex, as `Digests`: read again, by any process, only when it changed."""
    return Digests(_cache() / "digests.json").of(path)


def verify(path: str | Path, weights: Weights) -> None:
    """Whether a file is the published one; if no checksum is known, whether it can be one.

    Raises:
        InputError: it is not; says what it is instead.
    """
    try:
        refuse_other(Path(path), weights)
    except Flaw as flaw:
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
    if os.path.exists(target):
        try:
            refuse_other(target, weights)
        except Flaw as flaw:
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
    offline = f"download it on another machine and copy it into {target.parent}"
    part = target.with_name(f".{target.name}.part")
    if weights.sha256 is None:  # what is resumed could not be told from a mixture
        part.unlink(missing_ok=True)
    try:
        download(weights.url, part, hint=offline, size=weights.size, progress=progress)
        refuse_other(part, weights)
        part.replace(target)
    except Flaw as flaw:
        part.unlink()
        raise InputError(
            f"What came from {weights.url} {flaw}, so it was not kept; try again, or {offline}."
        ) from flaw
    except OSError as error:
        raise InputError(
            f"Cannot write {target} ({error.strerror})", Remedy.WEIGHTS_FOLDER
        ) from error
    finally:
        if os.path.exists(part) and not part.stat().st_size:
            part.unlink()
    return target


def published_model(text: str) -> Model:
    """The model with weights that goes by a name, or by the name of its published file.

    Raises:
        InputError: there is none; lists the known names.
    """
    for name, model in PUBLISHED.items():
        if text in (name, weights_of(model).file):
            return model
    raise InputError(f"Expected one of {', '.join(PUBLISHED)}, got {text!r}.")


def parse_checkpoints(texts: Sequence[str]) -> dict[str, Path]:
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
            model = published_model(name)
        except InputError as error:
            raise InputError(
                f"The checkpoint {text} does not say of which model; expected NAME=FILE with NAME "
                f"one of {', '.join(PUBLISHED)}."
            ) from error
        if model.name in files:
            raise InputError(f"Two checkpoints are given for {model.name}; leave one out.")
        files[model.name] = _existing(Path(file))
    return files


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if not os.path.isfile(path):
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
