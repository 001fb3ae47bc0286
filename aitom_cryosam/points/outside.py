"""Points outside of their tomogram: how else they may have been counted."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.geometry import as_typed
from aitom_cryosam.points.tomogram_info import TomogramInfo

_ORDERS = {
    "z,y,x": [2, 1, 0],
    "x,z,y": [1, 0, 2],
    "y,x,z": [0, 2, 1],
    "y,z,x": [1, 2, 0],
    "z,x,y": [2, 0, 1],
}
"""What x,y,z may have been typed as, the likeliest first: columns of z y x that put it right.

Programs that count axes as arrays have z,y,x; IMOD's volumes that were not turned x,z,y.
"""
_FAR = 0.1  # of the way from the first voxel to the middle: what is nearer may be a border's


def otherwise(info: TomogramInfo, points_zyx: np.ndarray, *, typed: bool = False) -> str:
    """A way of counting in which all points would lie inside, as the rest of a sentence, or "".

    Only typed points are tried in Å and nm: of a file, its caller asks for the size of pixels.

    Args:
        info: of the tomogram; its shape is known where a point lies outside.
        points_zyx: (n, 3) voxels. If none lies outside, there is nothing to say.
        typed: by a person, in x, y, z.
    """

    def inside(points: np.ndarray) -> bool:
        return not len(info.outside(points))

    if inside(points_zyx):
        return ""
    it = "it" if len(points_zyx) == 1 else "all"
    if inside(points_zyx - 1):
        return f"; counted from 1, as 3dmod shows voxels, {it} would lie inside: subtract 1"
    for order, columns in _ORDERS.items():
        if inside(points_zyx[:, columns]):
            return f"; as {order} {it} would lie inside: {'type' if typed else 'give'} x,y,z"
    middle = info.known_shape("A middle")[::-1] // 2
    if (points_zyx < -_FAR * middle).any() and inside(points_zyx + middle):
        return f"; counted from the middle {it} would lie inside: add {as_typed(middle)}"
    size = info.voxel_size
    if not typed or size is None or not inside(points_zyx / size):
        return ""
    nanometres = f", if in nm by {size / 10:g}" if inside(points_zyx * 10 / size) else ""
    return f"; in Å {it} would lie inside: divide by {size:g}{nanometres}"
