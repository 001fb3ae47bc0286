"""Settings: both sides of every check."""

from dataclasses import fields, replace

import numpy as np
import pytest

from aitom_cryosam import Settings
from aitom_cryosam.errors import InputError
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS
from aitom_cryosam.trials import presets_with


def test_the_preset_gives_what_is_not_given() -> None:
    assert Settings(preset="paper") == PRESETS["paper"]
    assert Settings(preset="paper", slab=0.5).encoder == PRESETS["paper"].encoder
    for bad in ("nonsense", "auto", None, []):
        with pytest.raises(InputError, match="a preset of embedded, paper, networks, got"):
            Settings(preset=bad)  # type: ignore[arg-type]


def test_the_embedded_preset_is_the_default() -> None:
    settings = Settings()
    assert (settings.preset, settings.encoder, settings.segmenter) == (
        "embedded",
        "filterbank",
        "contour",
    )
    assert (settings.ratios, settings.top_k, settings.tau_iou) == ("auto", 512, 0.5)


TO_THE_LETTER = {
    "encoder": ("dinov2_vitl14_reg", "3.1: DINOv2 with a ViT-L/14"),
    "segmenter": ("sam_vit_h", "3.1: SAM with ViT-H"),
    "tau_iou": (0.5, "3.1"),
    "merge": ("union", "2.1: the masks of all directions together"),
    "tau_sim": (0.5, "3.1"),
    "tau_sim_finest": (True, "2.3: the mask K^r of every level r"),
    "ratios": ((16, 8, 4), "2.3, eq. 5"),
    "top_k": (512, "3.1"),
    "pooling": ("mask", "2.3, eq. 4: the mean over the masks' voxels"),
    "slab": (0, "2.2: every slice is encoded"),
    "shrinkage": (None, "2.3, eq. 6: the cosine of the features as they are"),
    "token_size_angstrom": (None, "2.2: an image of a whole slice"),
    "window": (None, "2.1, eq. 1: SAM sees the slice"),
    "mask_fallback": ("none", "2.1: masks are SAM's"),
    "subcell": (False, "2.3: the coordinates of the finest level"),
    "position": ("mask", "3.1: a proposal's instance mask is the detection"),
    "semantic": ("union", "2: M, of all instances"),
    "cut": ("none", "3.1: no score, each of the K prompts counts"),
    "fdr": (None, "3.1: likewise"),
}
OPEN = {
    "candidate": ("agreeing", "2.1: SAM gives one mask; it has three of each plane"),
    "max_diameter_angstrom": (500.0, "of our estimate of the diameter alone"),
    "all_masks": (False, "without a cut all proposals have masks anyhow"),
    "looks": (1, "of our verdict alone"),
    "normalisation": ("tomogram", "not stated; as its authors' code does"),
    "plane_shape": ("square", "not stated; as its authors' code does"),
}
BEYOND = {"centring": (True, "tokens as large as a particle: recall .50-1.00 in place of .12-.76")}


def test_the_preset_of_the_paper_is_the_paper_to_the_letter() -> None:
    """Each setting, and where the paper has it; a new one must be placed here, too."""
    stated = {**TO_THE_LETTER, **OPEN, **BEYOND}
    names = {field.name for field in fields(Settings)} - {"preset", "diameter_angstrom"}
    assert stated.keys() == names
    paper = PRESETS["paper"]
    assert {name: getattr(paper, name) for name in names} == {
        name: value for name, (value, _) in stated.items()
    }
    assert paper.diameter_angstrom is None
    for name in BEYOND:  # what is ours can be turned off
        assert getattr(replace(paper, **{name: False}), name) is False


def test_the_networks_preset_has_what_was_found_to_help() -> None:
    networks = PRESETS["networks"]
    assert (networks.shrinkage, networks.tau_sim, networks.cut) == (0.1, 0.0, "auto")
    assert (networks.token_size_angstrom, networks.plane_shape) == ("auto", "aspect")


@pytest.mark.parametrize(
    "good",
    [
        {"diameter_angstrom": None},
        {"diameter_angstrom": np.float32(120)},
        {"tau_iou": 0},
        {"tau_iou": 1.0},
        {"tau_sim": -1},
        {"tau_sim": 1},
        {"ratios": (1,)},
        {"ratios": (9, 3)},
        {"top_k": np.int64(1)},
        {"slab": 0},
        {"shrinkage": None},
        {"cut": "none"},
        {"cut": -0.5},
        {"candidate": "best"},
        {"merge": "union"},
        {"encoder": "dino_vitb8"},
        {"segmenter": "sam_vit_b"},
        {"ratios": "auto"},
        {"pooling": "mask"},
        {"normalisation": "imagenet"},
        {"token_size_angstrom": 60},
        {"token_size_angstrom": "auto"},
        {"plane_shape": "square"},
        {"centring": False},
        {"subcell": False},
        {"tau_sim_finest": False},
        {"position": "proposal"},
        {"window": 2},
        {"mask_fallback": "all"},
        {"all_masks": True},
        {"looks": 1},
        {"fdr": 0.1},
    ],
)
def test_what_makes_sense_is_taken(good: dict) -> None:
    (name,) = good
    assert getattr(Settings(**good), name) == good[name]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (
            {"encoder": "dino"},
            "dino_vitb8, sam_vit_b, sam_vit_l, sam_vit_h as encoder, got 'dino'.",
        ),
        (
            {"segmenter": "sam"},
            "Expected one of contour, sam_vit_b, sam_vit_l, sam_vit_h as segmenter, got 'sam'.",
        ),
        ({"diameter_angstrom": 0}, "Expected a length above 0 Å as diameter, got 0."),
        ({"diameter_angstrom": "120"}, "as diameter, got '120'"),
        ({"diameter_angstrom": float("nan")}, "as diameter, got nan"),
        ({"max_diameter_angstrom": float("inf")}, "as max_diameter, got inf"),
        ({"tau_iou": 1.01}, "a number from 0 to 1 as tau_iou"),
        ({"tau_sim": -1.01}, "a number from -1 to 1 as tau_sim"),
        ({"merge": "both"}, "Expected union or consensus as merge, got 'both'."),
        ({"ratios": ()}, "as ratios, got ()"),
        ({"ratios": (4, 4)}, "as ratios, got (4, 4)"),
        ({"ratios": (8, 0)}, "as ratios, got (8, 0)"),
        ({"ratios": (8, 2.5)}, "as ratios, got (8, 2.5)"),
        ({"ratios": 4}, "as ratios, got 4"),
        ({"top_k": 0}, "a whole number from 1 as top_k"),
        ({"top_k": 10.5}, "as top_k, got 10.5"),
        ({"top_k": True}, "as top_k, got True"),
        ({"slab": -0.1}, "as slab"),
        ({"shrinkage": 1.1}, "a number from 0 to 1, or None as shrinkage"),
        ({"ratios": "all"}, "or auto as ratios, got 'all'"),
        ({"pooling": "ball"}, "Expected mask or core as pooling, got 'ball'."),
        ({"normalisation": "none"}, "Expected tomogram or imagenet as normalisation"),
        ({"token_size_angstrom": 0}, "a length above 0 Å, auto, or None as token_size, got 0"),
        ({"window": 1.9}, "a number of diameters from 2, or None as window, got 1.9"),
        ({"candidate": "first"}, "Expected agreeing or best as candidate, got 'first'."),
        ({"mask_fallback": "box"}, "Expected none, clicks or all as mask_fallback, got 'box'."),
        ({"looks": 2}, "Expected 1 or 3 as looks, got 2."),
        ({"looks": True}, "Expected 1 or 3 as looks, got True."),
        ({"cut": "some"}, "Expected auto, none or a score as cut, got 'some'."),
        ({"cut": float("nan")}, "as cut, got nan"),
        ({"fdr": 1.0}, "a share of false picks from 0 to below 1 as fdr, got 1.0"),
        ({"fdr": 2, "encoder": "dino_vitb8"}, "from 0 to below 1 as fdr, got 2"),
        ({"fdr": 0.1, "cut": 0.5}, "Expected a cut or an fdr, got both"),
        ({"fdr": 0.1, "encoder": "dino_vitb8"}, "cannot be counted with the encoder dino_vitb8"),
    ],
)
def test_what_does_not_is_one_sentence(bad: dict, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        Settings(**bad)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("preset", "given", "sentence"),
    [
        ("embedded", {"candidate": "best"}, "candidate has no effect with the segmenter contour;"),
        ("embedded", {"plane_shape": "square"}, "plane_shape has no effect with the encoder filte"),
        ("networks", {"looks": 3}, "looks has no effect with the encoder dinov2_vitl14_reg"),
        ("paper", {"window": 3, "segmenter": "contour"}, "window has no effect with the segmenter"),
        ("paper", {"normalisation": "imagenet", "encoder": "sam_vit_b"}, "the encoder sam_vit_b"),
        ("networks", {"plane_shape": "square"}, "whole planes, and the encoder sees tiles; leave"),
    ],
)
def test_what_has_no_effect_is_refused(preset: str, given: dict, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        Settings.of(preset, **given)
    assert sentence in str(error.value)


def test_nothing_is_said_of_what_a_preset_has_for_other_models() -> None:
    settings = Settings.of("paper", encoder="filterbank", segmenter="contour", window=None)
    assert (settings.plane_shape, settings.window) == ("square", None)


def test_the_share_of_false_picks_goes_with_the_preset_that_is_taken_without_one() -> None:
    chosen = Settings.of(fdr=0.1)
    assert (chosen.preset, chosen.fdr) == ("embedded", 0.1)
    with pytest.raises(InputError, match="cannot be counted with the encoder dinov2"):
        Settings.of("paper", fdr=0.1)
    presets, lacking = presets_with(Resources(), {"fdr": 0.1})
    assert presets["embedded"].fdr == 0.1
    assert "cannot be counted" in lacking["paper"]


def test_a_device_that_is_none_is_refused_where_it_is_named() -> None:
    with pytest.raises(InputError, match="Expected auto, cuda, cuda:N, mps or cpu as device"):
        Resources(device="toaster")
