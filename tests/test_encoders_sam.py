"""SAM's image encoder as a plane encoder."""

import numpy as np
import pytest
import torch

from aitom_cryosam.encoders import build
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS
from aitom_cryosam.resources import Resources
from aitom_cryosam.sam.model import load_sam
from aitom_cryosam.settings import Settings
from tests.tiny_models import write_tiny_sam

NAME = "sam_vit_b"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Of 8 x 8 tokens of 16 pixels, 32 channels."""
    return write_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


def encoder(checkpoint, **changes):
    settings = Settings(encoder=NAME, **changes)
    resources = Resources(device="cpu", checkpoints={NAME: checkpoint})
    return build(settings, resources, diameter_voxels=20, voxel_size=10)


def grey_square(planes):
    """Robust deviations as SAM's own preprocessing sees them: 0 to 255, red, green and blue."""
    grey = 255 * (np.clip(planes, -3, 3) + 3) / 6
    return torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("shape", [(128, 128), (64, 128), (128, 40)])
def test_tokens_are_those_of_sam_on_its_own_preprocessing(checkpoint, shape):
    planes = np.random.default_rng(0).normal(scale=2, size=(2, *shape)).astype(np.float32)
    sam = load_sam(checkpoint, MODELS[NAME])
    with torch.inference_mode():
        expected = sam.image_encoder(sam.preprocess(grey_square(planes)))  # (b, C, 8, 8)
    tokens = encoder(checkpoint).encode(planes)
    rows, columns = (-(-size // 16) for size in shape)
    assert tokens.shape == (2, rows, columns, 32)
    np.testing.assert_allclose(
        tokens, expected.permute(0, 2, 3, 1)[:, :rows, :columns], atol=2e-5, rtol=2e-5
    )


@pytest.mark.parametrize("shape", [(33, 50), (7, 3), (200, 90)])
@pytest.mark.parametrize("token_size", [None, 30.0])
def test_planes_of_any_size_give_finite_tokens(checkpoint, shape, token_size):
    made = encoder(checkpoint, token_size_angstrom=token_size)
    tokens, grid = made.encode(np.ones((1, *shape), np.float32)), made.grid(shape)
    assert tokens.shape == (1, grid.rows.count, grid.columns.count, 32)
    assert np.isfinite(tokens).all()


def test_the_normalisation_is_sams_own_whatever_the_settings_say(checkpoint):
    first, second = (
        encoder(checkpoint, normalisation=name).signature for name in ("tomogram", "imagenet")
    )
    assert first == second
    np.testing.assert_allclose(np.array(first["colours"][0]) * 255, [123.675, 116.28, 103.53])
    np.testing.assert_allclose(np.array(first["colours"][1]) * 255, [58.395, 57.12, 57.375])


def test_a_sam_of_another_size_is_refused(checkpoint, tmp_path):
    alone = tmp_path / "alone.pth"
    alone.write_bytes(checkpoint.read_bytes())  # without its sizes: read as ViT-B
    with pytest.raises(InputError, match="does not fit sam_vit_b"):
        encoder(alone)
