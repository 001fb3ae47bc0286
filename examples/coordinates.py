"""Draw where x = 0 is for each program: the picture on the page "Coordinates".

python examples/coordinates.py [OUT.png]
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

VOXELS, PICK = 6, 4
# What counts, its zero in voxels from the corner, units a voxel, how the pick reads, colour.
RULERS = [
    ("k: this program, Warp, Dynamo, .coords", 0.5, 1, "4", "tab:blue"),
    ("Å from voxel 0: copick, ChimeraX (k·v)", 0.5, 10.8, "43.2", "tab:blue"),
    ("pixels of the tilt series: RELION 4 (k·v/p)", 0.5, 8, "32", "tab:blue"),
    ("motive lists: AV3, STOPGAP (k + 1)", -0.5, 1, "5", "tab:purple"),
    ("IMOD model (k + 0.5 in x, y)", 0.0, 1, "4.5", "tab:orange"),
    ("Å from the centre: RELION 5 (k·v − w₀·p/2)", 3.5, 10.8, "10.8", "tab:green"),
]


def main(out: str = "docs/images/coordinates.png") -> None:
    """Six voxels of a row, the pick in the fifth of them, and a ruler for each way to count."""
    figure, axes = plt.subplots(figsize=(8, 4.1), dpi=150)
    for k in range(VOXELS):
        face = "0.75" if k == PICK else "0.95"
        axes.add_patch(plt.Rectangle((k, 0), 1, 1, facecolor=face, edgecolor="0.4"))
        axes.text(k + 0.5, 0.72, str(k), ha="center", va="center", color="0.3")
        axes.plot(k + 0.5, 0.35, ".", color="0.4", markersize=4)
    axes.plot(PICK + 0.5, 0.35, "x", color="tab:red", markersize=9, markeredgewidth=2)
    for row, (name, zero, per_voxel, pick, colour) in enumerate(RULERS, 1):
        y = -0.75 * row
        axes.annotate(
            "",
            (PICK + 0.5, y),
            (zero, y),
            arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5, "shrinkA": 0, "shrinkB": 0},
        )
        axes.plot([zero, zero], [y - 0.2, y + 0.2], color=colour)
        axes.text(zero - 0.08, y, "0", ha="right", va="center", color=colour)
        axes.text(PICK + 0.58, y, pick, ha="left", va="center", color=colour, weight="bold")
        axes.text(VOXELS + 0.25, y, name, va="center", fontsize=9)
        assert abs((PICK + 0.5 - zero) * per_voxel - float(pick)) < 1e-9
    axes.plot([PICK + 0.5] * 2, [0.2, -0.75 * len(RULERS)], ":", color="tab:red", lw=1)
    axes.text(
        VOXELS + 0.25, 0.5, "voxels of 10.8 Å along x, pick at k = 4", va="center", fontsize=9
    )
    axes.set_xlim(-0.9, 11.6)
    axes.set_ylim(-0.75 * len(RULERS) - 0.4, 1.15)
    axes.set_axis_off()
    figure.savefig(out, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
