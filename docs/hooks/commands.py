"""MkDocs hook: fills the command reference from the parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from aitom_cryosam.cli import COMMANDS, build_parser

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with the source of every page."""
    if MARK not in markdown:
        return markdown
    sections = (section for name in COMMANDS for section in _sections(_command(name), 2))
    return markdown.replace(MARK, "\n".join(sections))


def _command(name: str) -> argparse.ArgumentParser:
    return _subcommands(build_parser([name]))[name]


def _subcommands(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _sections(command: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """A command's usage and its options, a table for each group; then its subcommands."""
    yield f"{'#' * level} {command.prog}\n"
    if command.description:
        yield f"{command.description}\n"
    usage = command.format_usage().removeprefix("usage: ")
    yield f"```text\n{usage}```\n"
    for group in command._action_groups:
        actions = [action for action in group._group_actions if _shown(action)]
        if not actions:
            continue
        title = "arguments" if group.title == "positional arguments" else group.title
        about = f" – {group.description}" if group.description else ""
        yield f"**{title}**{about}\n\n| | meaning |\n|---|---|"
        yield from (f"| {_name(action)} | {_meaning(action)} |" for action in actions)
        yield ""
    if command.epilog:
        yield f"{command.epilog}\n"
    for subcommand in _subcommands(command).values():
        yield from _sections(subcommand, level + 1)


def _shown(action: argparse.Action) -> bool:
    everywhere = {"-h", "--quiet", "--verbose"}
    listed = isinstance(action, argparse._SubParsersAction)
    return not (listed or everywhere & set(action.option_strings))


def _name(action: argparse.Action) -> str:
    value = action.metavar or (action.choices and "{" + ",".join(map(str, action.choices)) + "}")
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{value or action.dest}`"
    flag = action.option_strings[-1]
    return f"`{flag}`" if action.nargs == 0 else f"`{flag} {value or action.dest.upper()}`"


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": ""} if action.help else ""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
