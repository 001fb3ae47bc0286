"""RELION 5 extraction, done by another group: our particles are in the middle of what is cut."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "relion5_centring.py"


@pytest.mark.slow
@pytest.mark.extraction
def test_particles_are_in_the_middle_of_what_is_cut(tmp_path):
    pytest.importorskip("starfile", reason="needs the package starfile")
    extractor = os.environ.get("CRYOSAM_EXTRACTOR")
    if not extractor:
        pytest.skip("CRYOSAM_EXTRACTOR is not set to the zarr-particle-extract of an environment")
    spec = importlib.util.spec_from_file_location("relion5_centring", SCRIPT)
    centring = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(centring)
    found = centring.centring(tmp_path, extractor)
    half = centring.PIXEL * centring.BINNING / 2
    assert len(found["picks"]) >= centring.COUNT - 1
    assert np.linalg.norm(found["picks"], axis=1).mean() < half
    assert np.abs(found["picks"].mean(axis=0)).max() < half / 2
    assert np.abs(found["truth"].mean(axis=0)).max() < half / 4
