"""A GPU gives what a CPU gives: decoder, segmenter, picks; in every precision, short of memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aitom_cryosam import CryoSAM, Settings, Tomogram, networks
from aitom_cryosam.device import Device
from aitom_cryosam.resources import Resources
from aitom_cryosam.sam.decoder import SamDecoder
from aitom_cryosam.sam.encoder import SamEncoder
from aitom_cryosam.segmenters.sam import SamSegmenter
from tests.tiny_dino import write_tiny_dino
from tests.tiny_models import tiny_sam, write_tiny_sam

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
ROOT = Path(__file__).parents[1]
GPU = "cuda:0"
CPU = Device("cpu", 10**9)
PRECISIONS = {  # and how far it may be from a CPU's float32, as a share of the spread
    torch.float32: 1e-3,
    torch.float16: 0.02,
    torch.bfloat16: 0.15,
}


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """No rounding to TF32 where float32 is asked for."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(params=PRECISIONS, ids=str)
def precision(request, monkeypatch):
    """That the GPU computes in."""
    monkeypatch.setattr(
        Device,
        "precision",
        property(lambda device: torch.float32 if device.name == "cpu" else request.param),
    )
    return request.param


def planes_of(count, shape=(60, 80)):
    return np.random.default_rng(0).normal(0, 1.5, (count, *shape)).astype(np.float32)


def segmenter_on(device):
    return SamSegmenter(tiny_sam(), device, max_extent=40.0, identity={"segmenter": "tiny"})


def error(found, expected):
    """Root mean square, as a share of the expected values' spread."""
    difference = torch.as_tensor(found).float().cpu() - torch.as_tensor(expected).float()
    return float(difference.square().mean().sqrt() / torch.as_tensor(expected).float().std())


def test_the_decoder(precision):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 64, 32, generator=generator)
    points = 128 * torch.rand(5, 2, generator=generator)
    masks = torch.randn(5, 32, 32, generator=generator)
    device = Device(GPU, 10**9)
    for before in (None, masks):
        with torch.inference_mode():
            expected = SamDecoder(tiny_sam())(images, points, before)
            sent = (part if part is None else part.to(GPU) for part in (images, points, before))
            with device.autocast():
                found = SamDecoder(tiny_sam().to(GPU))(*sent)
        assert found[0].device.type == "cuda"
        for ours, exactly in zip(found, expected, strict=True):
            assert ours.dtype is torch.float32
            assert error(ours, exactly) < 2 * PRECISIONS[precision]


def test_a_compiled_encoder():
    images = torch.randn(3, 3, 128, 128, generator=torch.Generator().manual_seed(0)).to(GPU)
    device = Device(GPU, 10**9, compiled=True)
    plain, compiled = (
        SamEncoder(tiny_sam().image_encoder, one)
        for one in (replace(device, compiled=False), device)
    )
    for count in (3, 2, 1):
        assert error(compiled(images[:count]), plain(images[:count]).cpu()) < 0.15
    assert compiled._compiled  # else it has given up


def walk(segmenter, planes):
    """Two steps of walks on planes (b, h, w), a prompt each."""
    points = np.random.default_rng(1).uniform(10, 50, (len(planes), 2))
    rows = np.arange(len(planes))
    embeddings = segmenter.embed(planes)
    first = segmenter.segment(embeddings, rows, points, None)
    # From the same points, as those of masks that round otherwise would lie elsewhere.
    return first, segmenter.segment(embeddings, rows, points, first)


def test_the_segmenter(precision):
    planes = planes_of(6)
    device = Device(GPU, 10**9)
    for ours, exactly in zip(
        walk(segmenter_on(device), planes), walk(segmenter_on(CPU), planes), strict=True
    ):
        assert isinstance(ours.logits, torch.Tensor)  # they stay on the device
        assert ours.logits.device.type == "cuda"
        assert isinstance(exactly.logits, np.ndarray)
        both = (ours.masks & exactly.masks).sum()
        assert both > 0.9 * (ours.masks | exactly.masks).sum()
        assert np.median(np.abs(ours.scores - exactly.scores)) < 2 * PRECISIONS[precision]


def test_whitened_tokens(precision, world):
    tomogram, _, names = world
    made = []
    for device in (GPU, "cpu"):
        networks.release()
        picker = CryoSAM(SETTINGS, resources=Resources(device=device, checkpoints=names))
        made.append(picker.features(tomogram, 24))
    networks.release()
    for ours, exactly in zip(*(features.views for features in made), strict=True):
        # Whitening with a shrinkage of 0.1 makes what is faint up to three times as loud.
        assert error(ours.tokens, exactly.tokens) < 4 * PRECISIONS[precision]


def test_embeddings_go_to_the_host_and_back(precision):
    segmenter = segmenter_on(Device(GPU, 10**9))
    for embedding in segmenter.embed(planes_of(2)):
        packed = segmenter.codec.pack(embedding)
        again = segmenter.codec.unpack(packed, embedding.shape)
        assert torch.equal(again.tokens, embedding.tokens)
        assert again.tokens.dtype is precision


@pytest.mark.parametrize("stage", ["encode", "decode"])
def test_memory_that_runs_out_half_way_changes_no_mask(stage):
    planes = planes_of(8)
    device = Device(GPU, 10**9)
    expected = walk(segmenter_on(device), planes)
    segmenter = segmenter_on(device)
    sam = segmenter._sam
    encoding = stage == "encode"
    layer = sam.image_encoder.patch_embed if encoding else sam.mask_decoder.iou_prediction_head
    sizes = []
    torch.cuda.empty_cache()
    each = torch.cuda.mem_get_info(GPU)[0] // 5 * 2

    def hog(_module, _inputs, output):
        """There is room for two planes or prompts, and not for three."""
        sizes.append(len(output))
        torch.empty((len(output), each), dtype=torch.uint8, device=GPU)

    with layer.register_forward_hook(hog):
        found = walk(segmenter, planes)
    assert max(sizes) > 2
    assert sizes[-1] <= 2
    for ours, before in zip(found, expected, strict=True):
        assert (ours.masks == before.masks).mean() > 0.99


def world_in(folder):
    """A tomogram with balls, the centre of one of them (x, y, z), and files of tiny networks."""
    data = np.random.default_rng(3).standard_normal((24, 34, 36)).astype(np.float32)
    centres = [(12, y, x) for y in (9, 25) for x in (8, 27)]
    grid = np.indices(data.shape)
    for centre in centres:
        away = sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True))
        data[away < 5**2] += 3
    names = {
        "dinov2_vitl14_reg": write_tiny_dino(folder, "dinov2_vitl14_reg"),
        "sam_vit_h": write_tiny_sam(folder / "sam.pth"),
    }
    return Tomogram.from_array(data, voxel_size=10, contrast="bright"), centres[0][::-1], names


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return world_in(tmp_path_factory.mktemp("gpu"))


RANDOM = {  # masks overlap as little, and are as large as they like: so may particles be
    "diameter_angstrom": 240,
    "tau_iou": 0,
    "tau_sim": -1,
    "cut": "none",
    "centring": False,
    "position": "proposal",
}
SETTINGS, PAPER = (Settings(preset=preset, **RANDOM) for preset in ("networks", "paper"))


def picks_on(device, world, settings=SETTINGS, **resources):
    tomogram, prompt, names = world
    networks.release()
    picker = CryoSAM(settings, resources=Resources(device=device, checkpoints=names, **resources))
    try:
        return picker.pick(tomogram, [prompt])
    finally:
        networks.release()


@pytest.mark.parametrize("settings", [SETTINGS, PAPER], ids=["networks", "paper"])
def test_picks_are_those_of_the_cpu(world, precision, settings):
    ours, exactly = (picks_on(device, world, settings).picks for device in (GPU, "cpu"))
    assert len(exactly) > 1
    away = np.linalg.norm(ours.points_zyx[:, None] - exactly.points_zyx, axis=2)
    near = (away.min(axis=0) < 1).mean()
    if precision is torch.float32:
        assert (near, len(ours)) == (1, len(exactly))
    assert near > 0.7


@pytest.mark.parametrize("precision", [torch.float32], indirect=True)
def test_a_small_share_of_the_memory_gives_the_same_picks(world, precision):
    free, small = picks_on(GPU, world).picks, picks_on(GPU, world, gpu_bytes=200_000_000).picks
    torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    np.testing.assert_allclose(free.points_zyx, small.points_zyx, atol=0.01)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_the_second_device_gives_the_picks_of_the_first(world):
    found = picks_on("cuda:1", world).picks
    assert torch.cuda.max_memory_allocated(1) > 0
    assert len(found) == len(picks_on("cuda:0", world).picks)


ON_THE_SECOND = """
import sys
from pathlib import Path
import torch
from tests.test_gpu import picks_on, world_in
assert len(picks_on("cuda:1", world_in(Path(sys.argv[1]))).picks)
assert torch._C._cuda_hasPrimaryContext(1)
assert not torch._C._cuda_hasPrimaryContext(0)
"""


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_the_second_device_opens_no_context_on_the_first(tmp_path):
    """In a process of its own: the others here have one there."""
    subprocess.run([sys.executable, "-c", ON_THE_SECOND, str(tmp_path)], cwd=ROOT, check=True)
