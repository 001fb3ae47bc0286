"""Fitting: the points of a ridge moved onto its middle, and the directions that they then have.

A crest is a cell or two thick, and a long straight filter lies inside of a curved ridge. Here
neighbours are averaged along the ridge as it runs, which neither blurs nor shifts it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array

from aitom_cryosam.geometry import binned_coordinate, unbinned_coordinate
from aitom_cryosam.targets.ridges import Ridges, across

_ROUNDS = 3  # of taking positions, and directions, from the neighbours
_PROFILE = 3.0  # sigmas to both sides in which the middle is sought
_SAMPLES = 8  # of a profile in each sigma
_ALONG = 3.0  # cells: sigma of the mean along a line
_HOPS = 4  # from neighbour to neighbour: so far a sheet is fitted by one curved surface
_FACING = 0.5  # cosine of the normals of two points on it
_FEWEST = 20  # points that say how a surface is curved
_CHUNK = 2048  # points fitted at once
_BESIDE = np.linspace(-2, 2, 9)  # cells, in which the middle of a line is sought


def fitted(ridges: Ridges, sigma_cells: float) -> Ridges:
    """The points on the middle of their ridges, and directions of where they lie.

    Args:
        ridges: n points of structures.
        sigma_cells: cells, of the second derivative across the ridge.
    """
    if not len(ridges):
        return ridges
    linked = ridges.linked  # of cells and directions, which stay
    ridges = _smoothed(ridges, linked)
    if ridges.kind == "sheet":
        for _ in range(2):
            ridges = _smoothed(_centred(ridges, linked, sigma_cells), linked)
    ridges = _directed(ridges, linked)
    return _curved(ridges, linked) if ridges.kind == "sheet" else ridges


def centred(line: np.ndarray, ridges: Ridges, radius_voxels: float) -> np.ndarray:
    """A line in the middle of the density around it, as its neighbourhood along it has that.

    Args:
        line: (m, 3) voxels, points about a cell apart.
        ridges: with the tomogram's cells.
        radius_voxels: of the wall of a tube, 0 for what is filled.

    Returns:
        (m, 3) voxels.
    """
    if len(line) < 3:
        return line
    places = binned_coordinate(line, ridges.binning)
    for _ in range(2):
        along = np.gradient(ndimage.gaussian_filter1d(places, _ALONG, axis=0), axis=0)
        first, second = across(along / np.linalg.norm(along, axis=1, keepdims=True))
        axes = np.stack([first, second], axis=1)  # (m, 2, 3)
        turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        wall = radius_voxels / ridges.binning * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        near = np.stack(np.meshgrid(_BESIDE, _BESIDE, indexing="ij"), axis=-1).reshape(-1, 1, 2)
        samples = places[:, None, None] + (near + wall) @ axes[:, None]  # (m, offsets, wall, 3)
        density = ndimage.map_coordinates(
            ridges.cells, np.moveaxis(samples, -1, 0), order=1, mode="nearest"
        ).mean(axis=2)
        density = ndimage.gaussian_filter1d(density, _ALONG, axis=0, mode="nearest")
        weight = (density - np.median(density, axis=1, keepdims=True)).clip(0) ** 2
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        shift = ndimage.gaussian_filter1d(weight @ near[:, 0], _ALONG, axis=0, mode="nearest")
        places = places + (shift[:, None] @ axes)[:, 0]
    return unbinned_coordinate(places, ridges.binning)


def _smoothed(ridges: Ridges, linked: csr_array) -> Ridges:
    """Each point at the weighted mean of its neighbours, as far as that lies across the ridge."""
    weight = np.maximum(ridges.responses, 0.1)[:, None]
    positions = ridges.places_zyx
    total = weight + linked @ weight
    for _ in range(_ROUNDS):
        shift = (weight * positions + linked @ (weight * positions)) / total - positions
        along = (shift * ridges.directions_zyx).sum(axis=1, keepdims=True) * ridges.directions_zyx
        positions = positions + (along if ridges.kind == "sheet" else shift - along)
    return _at(ridges, positions)


def _centred(ridges: Ridges, linked: csr_array, sigma_cells: float) -> Ridges:
    """Each point of a sheet in the middle of what the density across it has.

    That is where the energy of the profile, averaged over neighbours, is largest: a bilayer can be
    one line or two with a gap between them, and the gap is its middle.
    """
    positions = ridges.places_zyx
    reach = _PROFILE * sigma_cells
    heights = np.linspace(-2 * reach, 2 * reach, 4 * int(_PROFILE * _SAMPLES) + 1)  # cells
    places = positions[:, None] + heights[:, None] * ridges.directions_zyx[:, None]
    profiles = ndimage.map_coordinates(
        ridges.cells, np.moveaxis(places, -1, 0), order=1, mode="nearest"
    )  # (n, heights)
    # Neighbours whose normals point the other way have their profiles turned round.
    rows, columns = linked.tocoo().coords
    same = (ridges.directions_zyx[rows] * ridges.directions_zyx[columns]).sum(axis=1) > 0
    for _ in range(2):
        turned = profiles[:, ::-1]
        total = profiles.copy()
        for chosen, values in ((same, profiles), (~same, turned)):
            part = csr_array((chosen.astype(np.float32), linked.indices, linked.indptr))
            total += part @ values
        profiles = total / (1 + np.bincount(rows, minlength=len(ridges)))[:, None]
    profiles -= np.median(profiles, axis=1, keepdims=True)
    energy = ndimage.gaussian_filter1d(profiles**2, 1.2 * _SAMPLES, axis=1)
    inside = np.abs(heights) <= reach
    middle = heights[inside][np.argmax(energy[:, inside], axis=1)]
    return _at(ridges, positions + middle[:, None] * ridges.directions_zyx)


def _directed(ridges: Ridges, linked: csr_array) -> Ridges:
    """Normals of the planes, or the lines, that fit each point and its neighbours best."""
    positions = ridges.places_zyx
    count = 1 + linked.sum(axis=1)[:, None]
    mean = (positions + linked @ positions) / count
    spread = np.empty((len(ridges), 3, 3))
    for i in range(3):
        for j in range(3):
            product = positions[:, i] * positions[:, j]
            second = (product + linked @ product) / count[:, 0]
            spread[:, i, j] = second - mean[:, i] * mean[:, j]
    vectors = np.linalg.eigh(spread)[1]
    own = vectors[..., 0 if ridges.kind == "sheet" else 2]
    # A few points say nothing of a direction; these keep that of the filter.
    own = np.where((count[:, 0] > 6)[:, None], own, ridges.directions_zyx)
    for _ in range(_ROUNDS):  # the direction that those of the neighbours have in common
        tensors = own[:, :, None] * own[:, None]
        tensors = tensors.reshape(-1, 9) + linked @ tensors.reshape(-1, 9)
        own = np.linalg.eigh(tensors.reshape(-1, 3, 3))[1][..., 2]
    return replace(ridges, directions_zyx=own)


def _curved(ridges: Ridges, linked: csr_array) -> Ridges:
    """Normals of the surfaces of second order through each point's wider surroundings on a sheet.

    Through few points a plane follows the noise, and at the rim of many it lies askew.
    """
    positions = ridges.places_zyx
    normals = np.array(ridges.directions_zyx, np.float64)
    first, second = across(normals)
    own = normals.copy()
    for start in range(0, len(ridges), _CHUNK):
        near = linked[start : start + _CHUNK]
        for _ in range(_HOPS - 1):
            near = near @ linked
        one = start + np.repeat(np.arange(near.shape[0]), np.diff(near.indptr))
        other = near.indices
        facing = np.abs((normals[one] * normals[other]).sum(axis=1)) > _FACING
        one, other = one[facing], other[facing]
        steps = positions[other] - positions[one]
        a, b, height = ((steps * axis[one]).sum(axis=1) for axis in (first, second, normals))
        terms = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b])  # (6, pairs)
        rows, count = one - start, near.shape[0]
        system, right = np.empty((count, 6, 6)), np.empty((count, 6, 1))
        for i in range(6):
            right[:, i, 0] = np.bincount(rows, terms[i] * height, minlength=count)
            for j in range(6):
                system[:, i, j] = np.bincount(rows, terms[i] * terms[j], minlength=count)
        enough = np.bincount(rows, minlength=count) > _FEWEST
        system += np.eye(6) * 1e-6 * np.trace(system, axis1=1, axis2=2)[:, None, None]
        slopes = np.linalg.solve(system[enough], right[enough])[:, 1:3]
        at = start + np.flatnonzero(enough)
        own[at] -= (slopes * np.stack([first[at], second[at]], axis=1)).sum(axis=1)
    return replace(ridges, directions_zyx=own / np.linalg.norm(own, axis=1, keepdims=True))


def _at(ridges: Ridges, positions: np.ndarray) -> Ridges:
    return replace(ridges, offsets=(positions - ridges.cells_zyx).astype(np.float32))
