"""Beside: the record that lies beside a file of a run, and what lies beside a record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.names import result_stem
from aitom_cryosam.record import Record
from aitom_cryosam.result_files import RUN
from aitom_cryosam.tidying import settle


def record_beside(path: Path, *, only_this: bool = False) -> Record | None:
    """The record of the run that wrote a file of points or labels, if there is one beside it.

    Args:
        path: the file.
        only_this: only this file is going to be used, not the others of the run.

    Raises:
        InputError: the record is damaged, or the file is one of its but not as the run left it.
    """
    settle(path.parent)
    place = path.with_name(f"{result_stem(path)}{RUN}")
    if not os.path.isfile(place):
        return None
    record = Record.open(place)
    own = [kind for kind, file in record.files.items() if file.name == path.name]
    if own:
        record.check(*(own if only_this else ()))
    return record


def note_beside(record: Record, paths: Sequence[Path]) -> None:
    """Keep in a record what was made of its result, in its folder, after that was there.

    When the result is replaced, these go with it: of another one they would tell wrong things.

    Raises:
        InputError: the record cannot be written.
    """
    if paths:
        content = {**record.content, "beside": [path.name for path in paths]}
        write_text(record.path, json.dumps(content, indent=1) + "\n", overwrite=True)


def stale_files(paths: Mapping[str, Path]) -> list[Path]:
    """Files that the record of an earlier run names, and one with these files would leave.

    Args:
        paths: of the new result, by kind.
    """
    try:
        earlier = Record.open(paths["run"])
        earlier.check()
    except InputError:  # there is none, or it is not what it was: nothing is taken away
        return []
    beside = [
        earlier.path.with_name(Path(str(one)).name) for one in earlier.content.get("beside", ())
    ]
    gone = [path for path in (*earlier.files.values(), *beside) if path not in paths.values()]
    return [path for path in gone if os.path.exists(path)]
