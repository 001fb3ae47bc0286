"""AITom's modules, with the names that NumPy and Python have dropped since they were written.

Only AITom's modules see these names: each runs with an `__import__` of its own, that hands it
a stand-in for NumPy, and `pickle` for `cPickle`. NumPy itself stays as it is.
"""

from __future__ import annotations

import builtins
import pickle
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

import numpy

from aitom_cryosam.errors import InputError

HOW = (
    "type: git clone https://github.com/xulabs/aitom aitom && "
    'export PYTHONPATH="$PWD/aitom:$PYTHONPATH"'
)
_DROPPED = {
    **{kind.__name__: kind for kind in (bool, int, float, complex, object, str)},
    "float_": numpy.float64,
    "complex_": numpy.complex128,
    "Inf": numpy.inf,
    "NaN": numpy.nan,
}


def aitom_module(name: str) -> ModuleType:
    """Import a module of AITom, such as "aitom.geometry.rotate".

    Raises:
        InputError: AITom is not on the Python path, or lacks a package that it needs.
    """
    serve_dropped_names()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing.split(".")[0] == "aitom":
            raise InputError(f"AITom is not importable (no module {missing}); {HOW}") from None
        raise InputError(
            f"AITom's {name} needs the package {missing}; type: pip install {missing}"
        ) from None


def serve_dropped_names() -> None:
    """See to it that AITom's modules, imported before or after, find the dropped names."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    for module in list(sys.modules.values()):
        if _is_aitoms(getattr(module, "__name__", "")):
            numpy_names = [name for name, value in vars(module).items() if value is numpy]
            vars(module).update(dict.fromkeys(numpy_names, _NUMPY))


class _OldNumpy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name in _DROPPED and name not in vars(numpy):
            return _DROPPED[name]
        return getattr(numpy, name)


_NUMPY = _OldNumpy("numpy")


def _import(name: str, *arguments: Any, **named: Any) -> ModuleType:
    """`__import__` as AITom's modules have it."""
    if name == "cPickle":
        return pickle
    module = builtins.__import__(name, *arguments, **named)
    return _NUMPY if module is numpy else module


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if _is_aitoms(fullname) else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _is_aitoms(name: str) -> bool:
    return name.split(".")[0] == "aitom"
