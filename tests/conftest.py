"""What several test files share."""

import os
from pathlib import Path

import pytest

# Threads of torch that wait for work would keep the cores from those of other libraries.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real and simulated tomograms, or a skip that says why."""
    folder = os.environ.get("CRYOSAM_DATA")
    if not folder:
        pytest.skip("CRYOSAM_DATA is not set to the folder of tomograms")
    return Path(folder)
