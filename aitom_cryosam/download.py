"""Download: one large file over HTTP, bounded in time and size, resumed where it broke off."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from aitom_cryosam.errors import InputError

_TIMEOUT = 30  # seconds without a byte
_STALL = 60.0  # seconds in which at least `_LEAST` bytes must come
_LEAST = 1 << 16
_PIECE = 1 << 20


def download(
    url: str, part: Path, *, hint: str, size: int | None = None, progress: bool = False
) -> None:
    """Fetch what is still missing of a file.

    Args:
        url: of the file.
        part: what an earlier download has left, or a path that does not exist; a link is refused.
        hint: the end of each sentence: what else the user can do.
        size: bytes of the whole file, if it is known.
        progress: show a bar on stderr.

    Raises:
        InputError: the publisher does not deliver, stalls, breaks off or sends too much. What
            came until it broke off stays in `part`; what cannot be right does not.
        OSError: it cannot be written.
    """
    import requests
    from urllib3.exceptions import HTTPError

    with _opened(part) as file:
        start = file.tell()
        if size is not None and start == size:
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
                if answer.status_code == 416:  # what is there is no beginning of this file
                    file.truncate(0)
                answer.raise_for_status()
                if answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    there = start
                else:
                    file.truncate(0)
                    there = 0
                promised = answer.headers.get("Content-Length", "")
                whole = there + int(promised) if promised.isdigit() else None
                _copy(_pieces(answer.raw), file, there, size or whole, progress=progress)
                broken = whole is not None and file.tell() < whole
        except requests.exceptions.HTTPError as error:
            reason = f"{answer.status_code} {answer.reason}"
            raise InputError(f"{url} answers {reason}; try later, or {hint}.") from error
        except _TooMuch as error:
            file.truncate(0)
            raise InputError(
                f"{url} sends more than the {size or whole} bytes of the file, so nothing was "
                f"kept; {hint}."
            ) from error
        except _Stalled as error:
            raise InputError(
                f"The download of {url} stalled: less than {_LEAST} bytes came in {_STALL:g} "
                f"seconds; type the command again to go on with it, or {hint}."
            ) from error
        except (requests.exceptions.ChunkedEncodingError, HTTPError):
            broken = True
        except requests.exceptions.RequestException as error:
            raise InputError(
                f"{url} cannot be reached; check the network and its proxy, or {hint}."
            ) from error
        if broken:
            raise InputError(
                f"The download of {url} broke off; type the command again to go on with it, or "
                f"{hint}."
            )


class _TooMuch(Exception):
    pass


class _Stalled(Exception):
    pass


@contextmanager
def _opened(part: Path) -> Iterator[IO[bytes]]:
    """At its end. Nobody may have put a link, or another name of a file, in its place."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
        if os.fstat(file.fileno()).st_nlink != 1:
            raise InputError(f"{part} is another name of a file; remove it.")
        file.seek(0, os.SEEK_END)
        yield file


def _pieces(raw: Any) -> Iterator[bytes]:
    """What comes, as it comes, so that a trickle is seen."""
    read = getattr(raw, "read1", None)
    while piece := read(_PIECE) if read else raw.read(_LEAST):
        yield piece


def _copy(
    pieces: Iterator[bytes], file: IO[bytes], there: int, limit: int | None, *, progress: bool
) -> None:
    from tqdm import tqdm

    file.seek(there)
    with tqdm(total=limit, initial=there, unit="B", unit_scale=True, disable=not progress) as bar:
        since, came = time.monotonic(), 0
        for piece in pieces:
            there += len(piece)
            if limit is not None and there > limit:
                raise _TooMuch
            file.write(piece)
            bar.update(len(piece))
            came += len(piece)
            if came >= _LEAST:
                since, came = time.monotonic(), 0
            elif time.monotonic() - since > _STALL:
                raise _Stalled
