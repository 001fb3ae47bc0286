"""Networks as plane encoders: planes to the network's input, its tokens back to one grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aitom_cryosam.device import Batches, Device
from aitom_cryosam.encoders.tiles import OVERLAP, TileAxis
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import PixelAxis, TokenGrid
from aitom_cryosam.remedies import Remedy

SHOWN = 3.0
"""Standard deviations: grey values from -SHOWN to SHOWN become 0 to 1, as in a photograph."""
MOST_AT_ONCE = {"cuda": 32, "mps": 4, "cpu": 1}
"""Tiles in one batch; more are no faster."""
BYTES_PER_FEATURE = 96
"""Working memory of a transformer, for every feature of every token: mostly the MLP's."""
Colours = tuple[tuple[float, ...], tuple[float, ...]]
IMAGENET: Colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A vision transformer, as far as planes and tokens need to know it.

    Attributes:
        module: the network, in eval mode on its device.
        forward: (b, 3, H, W) input to (b, H / patch, W / patch, C) tokens.
        patch: side of a token in pixels.
        tokens: along one side of the network's own input size.
        fixed: whether inputs must have that size; they are then filled up with zeros. Otherwise
            any whole number of tokens will do, and the planes' edges are repeated.
        channels: C.
        colours: mean and deviation of red, green and blue, of grey values from 0 to 1; None to
            hand on the planes as they are.
        tile_bytes: about what one input of the network's own size takes on its way through.
    """

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    patch: int
    tokens: int
    fixed: bool
    channels: int
    colours: Colours | None
    tile_bytes: int


class NetworkEncoder:
    """Encodes planes with a network, whole (as the paper does) or in tiles.

    The network stays on the device as long as the encoder lives; drop the encoder to make room.

    Args:
        backbone: on `device`.
        device: where it computes.
        voxel_size: Å.
        token_size: Å of tomogram for one token, the planes being cut into overlapping tiles of
            the network's own size; None fits the longer side of a plane into that size.
        identity: what tells this network from others, for the signature.
        squashed: whether a whole plane is made a square of the network's own size, as the paper's
            authors do; its tokens are then as oblong as the plane is.

    Raises:
        InputError: the network does not fit on the device.
    """

    def __init__(
        self,
        backbone: Backbone,
        device: Device,
        *,
        voxel_size: float,
        token_size: float | None,
        identity: dict[str, Any],
        squashed: bool = False,
    ) -> None:
        self.backbone = backbone
        self.device = device
        self.voxel_size = voxel_size
        self.token_size = token_size
        self.identity = identity
        self.squashed = squashed
        self._batches = Batches(self._tiles_at_once())
        self._layouts: dict[tuple[int, int], _Layout] = {}

    @property
    def channels(self) -> int:
        """Features per token."""
        return self.backbone.channels

    @property
    def concurrent(self) -> bool:
        """No: a network uses the whole device."""
        return False

    @property
    def signature(self) -> dict[str, Any]:
        """The weights, how planes are cut and scaled to the network, and in which precision."""
        step = None if self.token_size is None else self.token_size / self.voxel_size
        return {
            **self.identity,
            "tokens": self.backbone.tokens,
            "step": step,
            "squashed": self.squashed and step is None,
            "overlap": OVERLAP,
            "shown": SHOWN,
            "colours": self.backbone.colours and [list(part) for part in self.backbone.colours],
            "precision": str(self.device.precision).removeprefix("torch."),
        }

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """As many as fill a batch of tiles."""
        return max(1, self._batches.size // len(self._layout(plane_shape).tiles))

    def grid(self, plane_shape: tuple[int, int]) -> TokenGrid:
        """Square tokens; the last of a row may reach over the edge.

        Raises:
            InputError: tokens are smaller than a voxel, or larger than the plane.
        """
        if self.token_size is None and self.squashed:
            return TokenGrid.square(plane_shape, self.backbone.tokens)
        if self.token_size is None:
            return TokenGrid.fitted(plane_shape, self.backbone.tokens)
        step, largest = self.token_size / self.voxel_size, min(plane_shape)
        if not 1 <= step <= largest:
            raise InputError(
                f"A token of {self.token_size:g} Å is {step:.3g} voxels wide; expected a "
                f"token size from {self.voxel_size:g} to {largest * self.voxel_size:g} Å, "
                f"which is 1 to {largest} voxels of this tomogram."
            )
        return TokenGrid.spaced(plane_shape, step)

    @torch.inference_mode()
    def encode(self, planes: np.ndarray) -> np.ndarray | Tensor:
        """planes: (b, h, w) float32, robust-normalised, protein positive.

        Returns:
            (b, gh, gw, C) tokens: a float32 tensor on a GPU; else an array, float32, or float16
            where the device computes in half precision.

        Raises:
            InputError: a single tile does not fit on the device.
        """
        layout = self._layout(planes.shape[1:])
        images = self._images(planes, layout)
        rows, columns = layout.rows.tokens.count, layout.columns.tokens.count
        result = images.new_zeros((len(planes), rows, columns, self.channels))
        parts = [(i, tile) for i in range(len(planes)) for tile in layout.tiles]

        def add(batch: slice) -> None:
            chosen = parts[batch]
            tokens = self._tokens(torch.stack([tile.cut(images[i]) for i, tile in chosen]))
            for (i, tile), values in zip(chosen, tokens, strict=True):
                # In place: memory that ran out between two tiles would leave one added twice.
                result[i, tile.rows, tile.columns] += values.mul_(tile.weights)

        for _ in self._batches.run(add, len(parts)):
            pass
        if self._keeps_tokens:
            return result
        half = self.device.precision is not torch.float32
        return (result.half() if half else result).cpu().numpy()

    @property
    def _keeps_tokens(self) -> bool:
        """Whether tokens stay on the device: it whitens them in no time."""
        return self.device.name.startswith("cuda")

    def _images(self, planes: np.ndarray, layout: _Layout) -> Tensor:
        """(b, 3, H, W) float32, the whole planes as the network wants to see them."""
        writeable = np.require(planes, np.float32, ["C", "W"])  # else torch would warn
        images = torch.from_numpy(writeable).to(self.device.name)
        images = layout.vertical @ images @ layout.horizontal.T
        images = images[:, None].expand(-1, 3, -1, -1)
        if self.backbone.colours is not None:
            mean, deviation = images.new_tensor(self.backbone.colours)[..., None, None]
            grey = (images.clamp(-SHOWN, SHOWN) + SHOWN) / (2 * SHOWN)
            images = (grey - mean) / deviation
        if self.backbone.fixed:
            images = images.contiguous()  # red, green and blue may be one and the same
            images[:, :, layout.rows.filled :] = 0
            images[:, :, :, layout.columns.filled :] = 0
        return images

    def _tokens(self, images: Tensor) -> Tensor:
        """(b, 3, H, W) to (b, gh, gw, C) float32."""
        height, width = (side // self.backbone.patch for side in images.shape[2:])
        if self.backbone.fixed:
            side = self.backbone.tokens * self.backbone.patch
            missing = (0, side - images.shape[3], 0, side - images.shape[2])
            images = nn.functional.pad(images, missing)
        with self.device.autocast():
            tokens = self.backbone.forward(images)
        return tokens[:, :height, :width].float()

    def _tiles_at_once(self) -> int:
        """Of the first batch.

        Raises:
            InputError: not even one fits into the memory that may be used.
        """
        parameters = list(self.backbone.module.parameters())
        weights = sum(parameter.nbytes for parameter in parameters)
        if self.device.precision is not torch.float32:  # autocast keeps a copy in half precision
            weights += sum(part.nbytes // 2 for part in parameters if part.dtype is torch.float32)
        needed = weights + self.backbone.tile_bytes
        if needed > self.device.limit:
            raise InputError(
                f"The encoder needs about {needed / 1e9:.1f} GB on {self.device.name}, and may use "
                f"{self.device.limit / 1e9:.1f} GB",
                Remedy.SMALLER_ENCODER,
            )
        fitting = (self.device.limit - weights) // self.backbone.tile_bytes
        return min(fitting, MOST_AT_ONCE[self.device.name.split(":")[0]])

    def _layout(self, plane_shape: tuple[int, int]) -> _Layout:
        """How planes of this shape are cut; kept, as there are only three in a tomogram."""
        if plane_shape not in self._layouts:
            grid = self.grid(plane_shape)
            self._layouts[plane_shape] = _Layout.of(grid, self.backbone, self.device.name)
        return self._layouts[plane_shape]


@dataclass(frozen=True)
class _Tile:
    """A piece of a plane's token grid; `weights` (h, w, 1) blend it with its neighbours."""

    rows: slice
    columns: slice
    weights: Tensor
    patch: int

    def cut(self, image: Tensor) -> Tensor:
        """(3, H, W) to the pixels of the tile."""
        rows, columns = (
            slice(part.start * self.patch, part.stop * self.patch)
            for part in (self.rows, self.columns)
        )
        return image[:, rows, columns]


@dataclass(frozen=True)
class _Layout:
    """The way of planes of one shape through the network."""

    rows: PixelAxis
    columns: PixelAxis
    vertical: Tensor  # (H, h)
    horizontal: Tensor  # (W, w)
    tiles: list[_Tile]

    @classmethod
    def of(cls, grid: TokenGrid, backbone: Backbone, device: str) -> _Layout:
        rows, columns = (PixelAxis(axis, backbone.patch) for axis in (grid.rows, grid.columns))
        down, across = (TileAxis(axis.tokens.count, backbone.tokens) for axis in (rows, columns))
        tiles = [
            _Tile(
                slice(top, top + down.size),
                slice(left, left + across.size),
                torch.from_numpy(np.outer(ramp, other)[..., None]).to(device),
                backbone.patch,
            )
            for top, ramp in zip(down.starts, down.weights, strict=True)
            for left, other in zip(across.starts, across.weights, strict=True)
        ]
        vertical, horizontal = (
            torch.from_numpy(axis.resampling()).to(device) for axis in (rows, columns)
        )
        return cls(rows, columns, vertical, horizontal, tiles)
