"""Docstrings of what is public: every array states its shape, every length its unit.

By the rules of docs/architecture.md some names say it themselves: `points_zyx` is (n, 3),
`point_zyx` (3,), a name in `_angstrom` or `_voxels` its unit, `voxel_size` and such are Å.
"""

from __future__ import annotations

import ast
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aitom_cryosam

ROOT = Path(aitom_cryosam.__file__).parent
_LENGTH = r"\.\.\.|\d?[A-Za-z]\w*(?: (?://|-|\+) \w+)?|\d+"
SHAPE = re.compile(rf"any shape|\((?:{_LENGTH})(?:,[^()]*| [a-z, ]+)?\)")
POINTS = re.compile(r"(^|_)(zyx|xyz|yx)$")
LENGTH = re.compile(r"(^|_)(diameter|radius|distance|spacing|width|edge|thickness|reach)$")
UNIT = re.compile(r"Å|voxel|pixel|diameters|shells|steps|spreads")
ENTRY = r"^ *\*?{}: (.*?)(?=^ *\w+: |^ *$|\Z)"


def described(text: str, name: str) -> str:
    """What a docstring says of one name, in its list or in passing."""
    found = re.search(ENTRY.format(name), text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def is_array(annotation: str) -> bool:
    inside = re.search(r"Callable|Mapping|dict|Iterator|Protocol", annotation)
    return "ndarray" in annotation and not inside


def faults_of_values(values: list[tuple[str, str]], text: str, shapes: int) -> Iterator[str]:
    """`shapes` are those that a docstring without a list states beside those of `values`."""
    listed = re.search(r"^(Args|Attributes):", text, re.MULTILINE)
    for name, annotation in values:
        said = described(text, name) if listed else text
        if is_array(annotation) and not POINTS.search(name):
            enough = SHAPE.search(said) if listed else shapes > 0
            if not enough:
                yield f"{name} has no shape"
            shapes -= 1
        if "float" in annotation and LENGTH.search(name) and not UNIT.search(said):
            yield f"{name} has no unit"


def faults_of_class(node: ast.ClassDef) -> Iterator[str]:
    values = [
        (part.target.id, ast.unparse(part.annotation))
        for part in node.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    ]
    public = [(name, annotation) for name, annotation in values if not name.startswith("_")]
    yield from faults_of_values(public, ast.get_docstring(node) or "", 0)


def faults_of_function(node: ast.FunctionDef) -> Iterator[str]:
    text = ast.get_docstring(node) or ""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    values = [(one.arg, ast.unparse(one.annotation)) for one in given if one.annotation]
    shapes = len(SHAPE.findall(text))
    if node.returns and is_array(ast.unparse(node.returns)):
        if not shapes:
            yield "what it returns has no shape"
        shapes -= 1
    yield from faults_of_values(values, text, shapes)


def faults(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            name = f"{prefix}{node.name}"
            of = faults_of_class if isinstance(node, ast.ClassDef) else faults_of_function
            yield from (f"{name}: {fault}" for fault in of(node))
            if isinstance(node, ast.ClassDef):
                yield from faults(node.body, f"{name}.")


def test_arrays_have_shapes_and_lengths_units() -> None:
    found = [
        fault
        for path in sorted(ROOT.rglob("*.py"))
        for fault in faults(
            ast.parse(path.read_text("utf-8")).body, f"{path.relative_to(ROOT).as_posix()}: "
        )
    ]
    assert found == []


def names_at_the_top(body: list[ast.stmt]) -> set[str]:
    targets = [
        target
        for node in body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    defined = {node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    return defined | {target.id for target in targets if isinstance(target, ast.Name)}


def test_what_docstrings_refer_to_is_there() -> None:
    """`room.module.name`, as far as its module is one of the package's."""
    texts = {path: path.read_text("utf-8") for path in sorted(ROOT.rglob("*.py"))}
    homes: dict[str, set[str]] = {}  # names by the end of their module's dotted path
    for path, text in texts.items():
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        for start in range(len(parts)):
            names = names_at_the_top(ast.parse(text).body)
            homes.setdefault(".".join(parts[start:]), set()).update(names)
            homes.setdefault(".".join(parts[start:-1]), set()).add(parts[-1])
    del homes["aitom"]  # most often AITom itself
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {home}.{name}"
        for path, text in texts.items()
        for home, name in re.findall(r"`((?:[a-z_]+\.)*[a-z_]+)\.(\w+)`", text)
        if home in homes and name not in homes[home]
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Args:\n    a: the tokens.\n    radius: Å.", "f: a has no shape"),
        ("Args:\n    a: (n, C) the tokens.\n    radius: of it.", "f: radius has no unit"),
        ("The sums of (n, C) tokens within a radius in Å.", "f: a has no shape"),
        ("The sums of tokens within a radius in Å.", "f: what it returns has no shape"),
        ("(n,) sums of (n, C) tokens within a radius in Å.", None),
    ],
)
def test_what_is_missing_is_found(text: str, fault: str | None) -> None:
    head = "def f(a: np.ndarray, points_zyx: np.ndarray, radius: float) -> np.ndarray:"
    found = list(faults(ast.parse(f"{head}\n    {text!r}").body, ""))
    assert fault in found if fault else found == []


def test_help_shows_what_is_public_and_what_it_takes_without_addresses() -> None:
    shown = pydoc.plain(pydoc.render_doc(aitom_cryosam))
    assert all(f"class {name}(" in shown for name in aitom_cryosam.__all__)
    assert "object at 0x" not in shown
