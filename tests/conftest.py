"""What several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real and simulated tomograms, or a skip that says why."""
    folder = os.environ.get("CRYOSAM_DATA")
    if not folder:
        pytest.skip("CRYOSAM_DATA is not set to the folder of tomograms")
    return Path(folder)
