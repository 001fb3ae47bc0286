"""A picture of a run: two slices through a clicked particle, before and after picking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from aitom_cryosam.files import writing
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLICK, PICK, MASK = "#ff3b7f", "#ffd23f", "#35d0ff"
THICKNESS = 0.25
"""Of the slices, in diameters: enough to see particles through noise, too thin to blur them."""
_WIDTH, _TOP, _BOTTOM = 13.0, 1.02, 0.85  # inches: the picture, its title and its legend
_Z, _Y = 0, 1  # the axes that the slices lie across


class Drawn(Protocol):
    """What the picture shows: a `Result`, or any other that has these."""

    @property
    def tomogram(self) -> Tomogram:
        """That was searched."""

    @property
    def diameter_angstrom(self) -> float:
        """Of the particle."""

    @property
    def prompts(self) -> Picks:
        """The clicks; those without a mask are not kept."""

    @property
    def prompt_masks(self) -> Sequence[ParticleMask]:
        """One a prompt."""

    @property
    def picks(self) -> Picks:
        """The picks."""

    @property
    def masks(self) -> Sequence[ParticleMask]:
        """Of the picks."""


def write_picture(path: str | Path, result: Drawn, *, note: str = "") -> None:
    """Write a PNG: slices across z and y through a clicked particle, bare and with the picks.

    The circles have the particle's diameter and fade with their distance from the slice.

    Args:
        path: to write.
        result: of a run.
        note: a line below the title.

    Raises:
        InputError: the file exists or cannot be written.
    """
    write_figure(path, _draw(result, note))


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as a small PNG.

    Raises:
        InputError: the file exists or cannot be written.
    """
    with writing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, pil_kwargs={"optimize": True})


def slab(tomogram: Tomogram, axis: int, index: int, reach: int) -> tuple[np.ndarray, int]:
    """(h, w), the mean of the planes up to `reach` voxels from one, as in the file; how many."""
    first, last = max(index - reach, 0), min(index + reach + 1, tomogram.shape[axis])
    image = tomogram.planes(axis, first, last).mean(axis=0)
    return -image if tomogram.contrast == "dark" else image, last - first


def show_image(axes: Axes, image: np.ndarray, **how: Any) -> None:
    """Show a slab (h, w) in grey, in axes that it fills."""
    low, high = np.percentile(image, (0.3, 99.7))
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower", **how)
    axes.set_autoscale_on(False)


def _draw(result: Drawn, note: str) -> Figure:
    from matplotlib.figure import Figure

    depth, height, width = result.tomogram.shape
    panel = (_WIDTH - 0.9) / 2
    size = np.clip(np.array([height, depth]) * panel / width, 0.5, 12)
    figure = Figure(figsize=(_WIDTH, size.sum() + 0.4 + _TOP + _BOTTOM), facecolor="white")
    grid = figure.add_gridspec(
        2,
        2,
        height_ratios=size,
        left=0.55 / _WIDTH,
        right=1 - 0.15 / _WIDTH,
        bottom=_BOTTOM / figure.get_figheight(),
        top=1 - _TOP / figure.get_figheight(),
        wspace=0.03,
        hspace=0.8 / size.sum(),
    )
    point = _shown_prompt(result)
    for row, axis in enumerate((_Z, _Y)):
        bare, picked = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        for axes in (bare, picked):
            _show_slice(axes, result, axis, point)
        _show_prompts(bare, result, axis, point)
        _show_picks(picked, result, axis, point)
        picked.set_title("", loc="left")
        picked.set_ylabel("")
        picked.tick_params(labelleft=False)
        if axis == _Z:
            _show_scale(bare, result)
    _write_titles(figure, result, note)
    return figure


def _shown_prompt(result: Drawn) -> np.ndarray:
    """(3,) the used prompt whose slices meet the most picks."""
    used = result.prompts.points_zyx[result.prompts.kept]
    picks = result.picks.points_zyx
    reach = result.diameter_angstrom / result.tomogram.voxel_size / 2
    met = [(np.abs(picks - point)[:, [_Z, _Y]] < reach).sum() for point in used]
    return np.asarray(used[int(np.argmax(met))])


def _show_slice(axes: Axes, result: Drawn, axis: int, point: np.ndarray) -> None:
    """The tomogram in its own contrast: x to the right; y, or z, upwards."""
    tomogram = result.tomogram
    middle = _voxel(point, axis)
    reach = int(THICKNESS * result.diameter_angstrom / tomogram.voxel_size / 2)
    image, planes = slab(tomogram, axis, middle, reach)
    show_image(axes, image, interpolation="bilinear")
    axes.set_ylabel("zy"[axis == _Z], rotation=0, labelpad=8)
    if axis == _Y:
        axes.set_xlabel("x")
    axes.tick_params(length=2, labelsize=8, colors="0.35")
    for side in axes.spines.values():
        side.set_visible(False)
    mean = f", mean of {planes} planes" if planes > 1 else ""
    axes.set_title(f"{'zyx'[axis]} = {middle}{mean}", fontsize=9, color="0.35", pad=4, loc="left")


def _show_prompts(axes: Axes, result: Drawn, axis: int, point: np.ndarray) -> None:
    """A cross on every click near the slice, and where the other slice cuts this one."""
    from matplotlib import patheffects

    other = _Y if axis == _Z else _Z
    axes.axhline(_voxel(point, other), color="white", lw=0.6, ls=(0, (4, 6)), alpha=0.6)
    near = _near(result, result.prompts.points_zyx, axis, point)
    for index in np.flatnonzero(near * result.prompts.kept):
        y, x = _in_plane(result.prompts.points_zyx[index], axis)
        edge = [patheffects.withStroke(linewidth=3.4, foreground="black")]
        axes.plot(x, y, "+", ms=12, mew=1.8, color=CLICK, path_effects=edge, clip_on=False)


def _show_picks(axes: Axes, result: Drawn, axis: int, point: np.ndarray) -> None:
    """Circles and outlines of the picks near the slice, and the clicked particles' outlines."""
    from matplotlib.patches import Circle

    index = _voxel(point, axis)
    for mask in result.masks:
        _outline(axes, mask, axis, index, MASK)
    picks = result.picks.points_zyx
    nearness = _near(result, picks, axis, point)
    radius = result.diameter_angstrom / result.tomogram.voxel_size / 2
    for pick, near in zip(picks, nearness, strict=True):
        if near > 0:
            y, x = _in_plane(pick, axis)
            alpha = 0.3 + 0.7 * near
            axes.add_patch(Circle((x, y), radius, fill=False, color=PICK, lw=1.6, alpha=alpha))
    for mask, used in zip(result.prompt_masks, result.prompts.kept, strict=True):
        if used:
            _outline(axes, mask, axis, index, CLICK)


def _outline(axes: Axes, mask: ParticleMask, axis: int, index: int, colour: str) -> None:
    """Draw the edge of a mask in one plane of the tomogram."""
    for line in mask.outlines(axis, index):
        y, x = line.T
        axes.plot(x, y, color=colour, lw=1.3)


def _show_scale(axes: Axes, result: Drawn) -> None:
    """A bar of a round number of nanometres, about a fifth of the width."""
    from matplotlib import patheffects

    nanometre = 10 / result.tomogram.voxel_size  # voxels
    width, height = (result.tomogram.shape[i] for i in (2, 1))
    length = _round_length(width / 5 / nanometre)
    x, y = 0.04 * width, 0.05 * height
    edge = [patheffects.withStroke(linewidth=3, foreground="black")]
    axes.plot([x, x + length * nanometre], [y, y], color="white", lw=4, solid_capstyle="butt")
    middle = x + length * nanometre / 2
    axes.text(
        middle, y + 0.015 * height, f"{length:g} nm", color="white", ha="center", path_effects=edge
    )


def _round_length(largest: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is not above `largest`."""
    power = 10.0 ** np.floor(np.log10(largest))
    return float(power * max(step for step in (1, 2, 5) if step * power <= largest * 1.001))


def _write_titles(figure: Figure, result: Drawn, note: str) -> None:
    picks, clicks = len(result.picks), int(result.prompts.kept.sum())
    title = f"{result.tomogram.name}: {plural(picks, 'pick')} from {plural(clicks, 'click')}"
    inch = 1 / figure.get_figheight()
    left = 0.55 / _WIDTH
    figure.text(left, 1 - 0.42 * inch, title, fontsize=16, fontweight="bold")
    if note:
        figure.text(left, 1 - 0.68 * inch, note, fontsize=11, color="0.3")
    figure.legend(
        handles=list(_legend(result)), loc="lower center", ncols=3, frameon=False, fontsize=10
    )


def _legend(result: Drawn) -> Iterable[Any]:
    from matplotlib.lines import Line2D

    width = result.diameter_angstrom / 10  # nm
    ring: dict[str, Any] = {"marker": "o", "ls": "", "mfc": "none", "mew": 1.6, "ms": 11}
    yield Line2D([], [], color=CLICK, marker="+", ls="-", ms=11, mew=2.2, label="click, its mask")
    yield Line2D([], [], color=PICK, label=f"picks, {width:.0f} nm wide", **ring)
    yield Line2D([], [], color=MASK, label="masks of the picks")


def _near(result: Drawn, points_zyx: np.ndarray, axis: int, point: np.ndarray) -> np.ndarray:
    """(n,) from 1 in the slice through `point` to 0 at a radius from it and beyond."""
    radius = result.diameter_angstrom / result.tomogram.voxel_size / 2
    return np.clip(1 - np.abs(points_zyx[:, axis] - point[axis]) / radius, 0, 1)


def _voxel(point: np.ndarray, axis: int) -> int:
    return int(nearest_voxel(point[axis]))


def _in_plane(point_zyx: np.ndarray, axis: int) -> np.ndarray:
    """(2,) the two coordinates other than `axis`."""
    return np.delete(point_zyx, axis)
