"""What `setup.py` declares is what the package imports, and the networks' libraries stay out."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NETWORKS = {"torch", "torchvision", "segment_anything", "timm"}
IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage", "segment-anything": "segment_anything"}
# segment_anything imports torchvision and does not declare it; napari and qtpy want one Qt.
NOT_IMPORTED_HERE = {"torchvision"}
NOT_IMPORTED_OF_EXTRAS = {"cryptography", "pyqt6"}  # Dask imports the former
FOR_DEVELOPERS = {"test", "dev"}


@pytest.fixture(scope="module")
def setup() -> dict[str, Any]:
    """What `setup.py` hands over."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", given.update)
        runpy.run_path(str(ROOT / "setup.py"))
    return given


@pytest.fixture(scope="module")
def declared(setup) -> dict[str, set[str]]:
    """Names to import: "" for what is always installed, and each extra."""
    groups = {"": setup["install_requires"], **setup["extras_require"]}
    return {group: {_import_name(line) for line in lines} for group, lines in groups.items()}


def test_every_file_that_is_no_module_is_installed(setup) -> None:
    package = ROOT / "aitom_cryosam"
    installed = {
        path
        for name, patterns in setup["package_data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*name.split(".")).glob(pattern)
    }
    others = {path for path in package.rglob("*.*") if path.is_file()}
    others = {path for path in others if path.suffix not in (".py", ".pyc")}
    assert others == installed


def _import_name(requirement: str) -> str:
    name = re.split(r"[^\w.-]", requirement)[0].lower()
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def _imports(tree: ast.AST) -> set[str]:
    """Top-level packages from elsewhere, wherever in the file they are imported."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - {"aitom_cryosam", "aitom"} - set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    files = (ROOT / "aitom_cryosam").rglob("*.py")
    return set.union(*(_imports(ast.parse(path.read_text("utf-8"))) for path in files))


def test_all_that_is_imported_is_declared(declared, imported) -> None:
    for_users = [names for group, names in declared.items() if group not in FOR_DEVELOPERS]
    assert imported - set.union(*for_users) == set()


def test_all_that_is_declared_is_imported(declared, imported) -> None:
    assert declared[""] - imported == NOT_IMPORTED_HERE
    extras = [names for group, names in declared.items() if group not in {"", *FOR_DEVELOPERS}]
    assert set.union(*extras) - imported == NOT_IMPORTED_OF_EXTRAS


def test_tests_have_what_the_extras_of_users_have(declared) -> None:
    assert declared["imod"] <= declared["test"]


@pytest.mark.parametrize("line", ["matplotlib>=3.8", "scikit-image", "Pillow >= 10", "uv[x]==1"])
def test_a_requirement_gives_the_name_to_import(line) -> None:
    expected = {"m": "matplotlib", "s": "skimage", "P": "PIL", "u": "uv"}[line[0]]
    assert _import_name(line) == expected


BLOCKED = f"""
import sys

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {sorted(NETWORKS)}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from aitom_cryosam.cli import main
"""


def _blocked(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, cwd=ROOT
    )


def test_the_block_blocks() -> None:
    assert "ModuleNotFoundError" in _blocked("import torch.nn").stderr


@pytest.mark.slow
def test_the_demo_needs_no_library_of_networks(tmp_path) -> None:
    run = _blocked(f"sys.exit(main(['demo', '--out', {str(tmp_path)!r}]))")
    assert run.returncode == 0, run.stderr
    assert "F1" in run.stdout
    assert (tmp_path / "demo_picks.star").stat().st_size > 0


@pytest.mark.parametrize("code", ["import aitom_cryosam.picker", "main(['pick', '--help'])"])
def test_neither_the_picker_nor_a_help_loads_networks(code) -> None:
    run = _blocked(code)
    assert run.returncode == 0, run.stderr
