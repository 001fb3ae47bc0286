"""What several test files share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from aitom_cryosam import cli, remedies

# Threads of torch that wait for work would keep the cores from those of other libraries.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real and simulated tomograms, or a skip that says why."""
    folder = os.environ.get("CRYOSAM_DATA")
    if not folder:
        pytest.skip("CRYOSAM_DATA is not set to the folder of tomograms")
    return Path(folder)


@pytest.fixture(autouse=True)
def _advice_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command says names options that it has, or, quoted, the command that has them."""
    wrong = []

    def heard(line: str) -> str:
        lacking = remedies.missing_options(line)
        if lacking and not line.startswith("usage"):
            wrong.append(f"{', '.join(lacking)} in: {line}")
        return line

    told, plain = cli._told, cli._Plain.format
    monkeypatch.setattr(cli, "_told", lambda line, status: told(heard(line), status))

    def formatted(self: logging.Formatter, record: logging.LogRecord) -> str:
        return heard(plain(self, record))  # type: ignore[arg-type]

    monkeypatch.setattr(cli._Plain, "format", formatted)
    yield
    assert not wrong
