"""How far a run is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

UNITS = {
    "features": "planes",
    "ridges": "filters",
    "template matching": "rotations",
    "alignment": "particles",
    "rescoring": "places",
    "full search": "rotations",
    "classes": "rounds",
    "report": "pages",
    "tomograms": "tomograms",
}
"""What a stage of this first word or name counts; the others count walks."""
EVERY = 20.0
"""Seconds between two plain lines of a stage."""


class ShownProgress:
    """A `progress` for CryoSAM that shows it on stderr. Use it in a `with` block.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars = sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""
        self._printed = 0.0

    def __enter__(self) -> ShownProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done."""
        if self._quiet:
            return
        unit = UNITS.get(stage, UNITS.get(stage.partition(" ")[0], "walks"))
        begins = stage != self._stage
        self._stage = stage
        if self._bars:
            self._move_bar(stage, done, total, unit)
        elif begins:
            print(f"{stage}: {total} {unit}", file=sys.stderr)
            self._printed = time.monotonic()
        elif time.monotonic() - self._printed > EVERY and done < total:
            print(f"{stage}: {done} of {total} {unit}", file=sys.stderr)
            self._printed = time.monotonic()

    def line(self, text: str) -> None:
        """Say something that stays, above the bar if there is one."""
        if self._quiet:
            return
        if self._bars:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)

    def _move_bar(self, stage: str, done: int, total: int, unit: str) -> None:
        from tqdm import tqdm

        if self._bar is None or self._bar.desc != stage:
            self._close()
            form = "{desc:15}|{bar:30}| {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}]"
            columns, lines = shutil.get_terminal_size()  # tqdm hides bars where it finds 0
            self._bar = tqdm(total=total, unit=unit, bar_format=form, ncols=columns, nrows=lines)
            self._bar.set_description_str(stage, refresh=False)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
