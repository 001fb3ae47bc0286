"""Parser: argparse's, but what it refuses it says in one sentence, below one line of usage."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from aitom_cryosam.cli.streams import status_of_stdout
from aitom_cryosam.wording import printable

_ELSEWHERE = {
    **dict.fromkeys(["apix", "angpix", "pixel-size"], "--voxel-size"),
    **dict.fromkeys(["click", "point", "seed"], "--prompt"),
    **dict.fromkeys(["radius", "particle-diameter", "size"], "--diameter"),
    **dict.fromkeys(["gpu", "gpus", "cuda"], "--device cuda"),
    **dict.fromkeys(["invert", "bright"], "--contrast bright"),
    **dict.fromkeys(["threshold", "cutoff"], "--cut"),
    "format": "--to",
    "mask": "--region",
}
"""Options of other programs, without dashes, and what does the same here."""
_STDOUT = {("cryosam validate", "--json")}
"""Options after which - is stdout."""


class Parser(argparse.ArgumentParser):
    """For a command and, as argparse makes them of the same class, those below it."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse's, but nothing is left over or empty, - is no file, -1,2,3 is a value."""
        typed = [_value(one) for one in _with_ranges(sys.argv[1:] if args is None else args)]
        if self._subparsers is None:  # else those below say it, under their own name
            for before, one in zip([self.prog, *typed], typed, strict=False):
                name, _, value = one.partition("=") if one.startswith("--") else (before, "=", one)
                if one != name and not value.strip():
                    self.error(f"nothing follows {name}; is a shell variable unset?")
                if one != name and value == "-" and (self.prog, name) not in _STDOUT:
                    self.error(f"expected a name of a file or folder after {name}, got -")
        found, left = super().parse_known_args(typed, namespace)
        if left:
            self.error(self._unknown(left[0]))
        return found, left

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """As argparse's, but a help that could not be written is no success."""
        super().exit(status or status_of_stdout(self.prog), message)

    def error(self, message: str) -> NoReturn:
        """End with status 2, a line of usage and the sentence."""
        message = re.sub(r"invalid (float|int) value: (.*)", _no_number, message, flags=re.DOTALL)
        sentence = printable(f"{self.prog}: {message}")
        self.exit(2, f"usage: {self._short_usage()}; more: {self.prog} --help\n{sentence}\n")

    def _short_usage(self) -> str:
        """What cannot be left out."""
        words = [self.prog]
        for action in sorted(self._actions, key=lambda one: not one.option_strings):
            more = " ..." if action.nargs in ("+", argparse.PARSER) else ""
            if action.required and action.nargs != "*":
                name = action.metavar or "|".join(action.choices or [action.dest])
                words += [*action.option_strings[-1:], f"{name}{more}"]
        options = any(one.option_strings and not one.required for one in self._actions)
        return " ".join([words[0], *(["[OPTIONS]"] if options else []), *words[1:]])

    def _unknown(self, argument: str) -> str:
        if argument.startswith("-"):
            option = argument.partition("=")[0]
            known = self._option_string_actions
            meant = _ELSEWHERE.get(option.strip("-"), "")
            same = [meant] if meant.partition(" ")[0] in known else []
            likely = same or get_close_matches(option, known, 1)
            return f"there is no option {option}{f'; did you mean {likely[0]}?' if likely else ''}"
        from aitom_cryosam.volumes.reading import is_volume

        hint = ""
        if is_volume(Path(argument)):
            hint = "; it takes one tomogram, and `cryosam project init` several"
        elif re.fullmatch(r"[-\d.,]+", argument):
            hint = "; numbers that belong together have no space between them, such as 312,208,95"
        return f"one argument too many, {argument!r}{hint}"


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, line: str
) -> argparse.ArgumentParser:
    """The parser of one action of a command.

    Args:
        actions: of the command.
        name: that is typed.
        line: what it does, as a sentence without its capital and its full stop.
    """
    added = actions.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
    added.add_argument(
        "--quiet",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print only warnings and errors",
    )
    return added


def options_of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> set[str]:
    """The options of the command that was typed, and of those above it."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= options_of(action.choices[getattr(args, action.dest)], args)
    return found


def _with_ranges(arguments: Sequence[str]) -> list[str]:
    """LOW HIGH after --tilt-range, as other programs take it, becomes LOW,HIGH."""
    joined: list[str] = []
    for argument in arguments:
        ends_range = joined[-2:-1] == ["--tilt-range"] and all(
            re.fullmatch(r"[-+]?\d+(\.\d*)?", one) for one in (joined[-1], argument)
        )
        if ends_range:
            joined[-1] += f",{argument}"
        else:
            joined.append(argument)
    return joined


def _value(argument: str) -> str:
    """Keep argparse from taking the coordinates -1,2,3 for an option."""
    return f" {argument}" if re.match(r"-[\d.]+,", argument) else argument


def _no_number(found: re.Match[str]) -> str:
    kind, value = found.groups()
    point = f"; write {value[1:-1].replace(',', '.')}"
    hint = point if re.fullmatch(r"'-?\d+,\d+'", value) and kind == "float" else ""
    return f"expected a {'number' if kind == 'float' else 'whole number'}, got {value}{hint}"
