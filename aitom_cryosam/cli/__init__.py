"""The `cryosam` command. One module per subcommand, imported only when it is the one asked for."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from aitom_cryosam.cli.inputs import inputs_of
from aitom_cryosam.cli.options import located
from aitom_cryosam.cli.parser import Parser, options_of
from aitom_cryosam.cli.signals import Ended, heeded
from aitom_cryosam.cli.streams import forgiving, status_of_stdout
from aitom_cryosam.doors import Door, program_of
from aitom_cryosam.errors import InputError
from aitom_cryosam.messages import PACKAGE, Once, logging_kept
from aitom_cryosam.versions import DISTRIBUTION, version_of
from aitom_cryosam.wording import printable

# Each module has add_arguments(parser) and run(args) -> exit status. If a file or option cannot be
# used, `run` raises InputError before anything is written.
COMMANDS = {
    "pick": ("aitom_cryosam.cli.pick", "pick every copy of a particle from one or more clicks"),
    "query": (
        "aitom_cryosam.cli.query",
        "save what clicked particles look like, to find them elsewhere",
    ),
    "project": ("aitom_cryosam.cli.project", "pick in many tomograms"),
    "select": ("aitom_cryosam.cli.select", "choose other picks from a run's proposals"),
    "doctor": ("aitom_cryosam.cli.doctor", "check a tomogram and clicks before a run"),
    "report": ("aitom_cryosam.cli.report", "write a page that shows the results of runs"),
    "view": ("aitom_cryosam.cli.view", "look at a result in napari"),
    "demo": ("aitom_cryosam.cli.demo", "simulate a tomogram, pick from one click and evaluate"),
    "average": (
        "aitom_cryosam.cli.average",
        "align and average picks, and write their orientations",
    ),
    "refine": ("aitom_cryosam.cli.refine", "score the proposals again, against the average"),
    "export": ("aitom_cryosam.cli.export", "convert picks to another program's files"),
    "validate": ("aitom_cryosam.cli.validate", "check which programs can read a file of picks"),
    "evaluate": ("aitom_cryosam.cli.evaluate", "compare picks with known positions"),
    "compare": ("aitom_cryosam.cli.compare", "compare with AITom's pickers and other programs"),
    "simulate": ("aitom_cryosam.cli.simulate", "simulate a tomogram with known positions"),
    "weights": ("aitom_cryosam.cli.weights", "download the networks' weights and check them"),
    "picking": ("aitom_cryosam.cli.picking", "pick with the arguments of AITom's script"),
    "cache": ("aitom_cryosam.cli.cache", "list or clear the cache of `pick --cache`"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: the arguments after `cryosam`; those of the process if None.

    Returns:
        0 if all that was asked is done, 2 on input that cannot be used and 1 if memory or threads
        do not suffice (one sentence on stderr), 130 after Ctrl-C, 143 after SIGTERM. If the
        results are there, but stdout could not be written: 141 if what it is piped into stopped
        reading, else 1.
    """
    command = "cryosam"
    # Else pandas' arrays would reserve 1 GB of addresses, which count against `ulimit -v`.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with (
        forgiving(),
        program_of(Door.COMMAND_LINE) as running,
        logging_kept(),
        logging_kept("matplotlib") as drawing,
    ):
        drawing.setLevel(logging.ERROR)  # it would tell of a home that it cannot write to
        try:
            with heeded():
                arguments = list(sys.argv[1:] if argv is None else argv)
                parser = build_parser(arguments)
                args = parser.parse_args(arguments)
                running.options = options_of(parser, args)
                command = f"cryosam {args.command}"
                _log_to_stderr(quiet=args.quiet, verbose=args.verbose)
                _locate(args)
                from aitom_cryosam.outputs import kept  # not for --help

                with kept(inputs_of(args)):
                    status = int(import_module(COMMANDS[args.command][0]).run(args))
                return status or status_of_stdout(command)
        except InputError as error:
            return _told(f"{command}: {error.worded(Door.COMMAND_LINE)}", 2)
        except Ended as ended:
            return _told(f"{command}: ended by {ended}.", ended.status)
        except KeyboardInterrupt:
            return _told(f"{command}: interrupted.", 130)
        except (MemoryError, ImportError, RuntimeError) as error:
            short = _short_of(error)
            if short is None:
                raise
            return _told(f"{command}: {short}.", 1)


def _short_of(error: Exception) -> str | None:
    """What the system does not give, and what to do; None where something else is wrong."""
    if isinstance(error, MemoryError):
        return (
            "not enough memory; close other programs, bin the tomogram, or cut out the part of "
            "interest"
        )
    if "failed to map segment" in str(error):
        return "not enough memory for the libraries; allow more addresses by `ulimit -v`"
    if "can't start new thread" in str(error):
        return (
            "the system starts no more threads for this user; end other programs, or raise "
            "`ulimit -u`"
        )
    return None


def _told(sentence: str, status: int) -> int:
    print(printable(sentence), file=sys.stderr)
    return status


def _locate(args: argparse.Namespace) -> None:
    """Put paths in place of the tomograms that are named within a project of copick."""
    if hasattr(args, "tomogram"):
        args.tomogram = located(args.tomogram)
    if hasattr(args, "tomograms"):
        args.tomograms = [located(one) for one in args.tomograms]


def build_parser(arguments: list[str]) -> argparse.ArgumentParser:
    """All commands for the help, but the options of the chosen one only."""
    parser = Parser(
        prog="cryosam",
        description="Pick every copy of a particle in a cryo-electron tomogram from one click.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, line) in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name in arguments:
            import_module(module).add_arguments(command)
        loudness = command.add_mutually_exclusive_group()
        loudness.add_argument("--quiet", action="store_true", help="print only warnings and errors")
        loudness.add_argument("--verbose", action="store_true", help="print more")
    return parser


def _log_to_stderr(*, quiet: bool, verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain())
    handler.addFilter(Once())
    logger = logging.getLogger(PACKAGE)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = printable(super().format(record))
        return line if record.levelno == logging.INFO else f"{record.levelname.lower()}: {line}"


class _Version(argparse.Action):
    """Looks the version up only if it is asked for: that takes as long as all of the help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {version_of(DISTRIBUTION)}")
        parser.exit()
