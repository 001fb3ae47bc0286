"""SamSegmenter: SAM on tomogram planes, or on a window of them around each particle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torch.nn import functional as F

from aitom_cryosam.device import Batches, Device
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.sam.decoder import SamDecoder
from aitom_cryosam.sam.encoder import SamEncoder
from aitom_cryosam.segmenters.base import Segmentation, on_plane, shifted
from aitom_cryosam.segmenters.codec import ArrayCodec, EmbeddingCodec

SHOWN = 3.0
"""Standard deviations: -SHOWN is black and SHOWN white. SAM's pictures have their mean in the
middle of the grey values and spread by 2.2 deviations to either end; with 3, all but 0.3 % of
Gaussian noise is kept apart, and gold or ice does not take the contrast from the particles."""
_MOST_AT_ONCE = {"cuda": 16, "mps": 2, "cpu": 1}  # planes; more are no faster
_DECODER_SHARE = 0.25  # of the device's memory
_HELD_SHARE = 0.25  # likewise, for embeddings
_DECODER_CACHE = 48_000_000  # bytes that a CPU works on without waiting for its memory


@dataclass(frozen=True)
class PlaneEmbedding:
    """A plane as SAM's decoder wants it.

    Attributes:
        tokens: (N, C) of the padded square, row by row, on the device.
        shape: (h, w) of the plane.
    """

    tokens: Tensor
    shape: tuple[int, int]


@dataclass(frozen=True)
class TokenCodec:
    """Keeps what SAM's image encoder gives.

    Attributes:
        signature: all that it depends on besides the plane.
        bytes_each: memory that an embedding holds.
        device: where it belongs.
    """

    signature: dict[str, Any]
    bytes_each: int
    device: Device

    def nbytes(self, plane_shape: tuple[int, int]) -> int:
        """The same for every plane."""
        return self.bytes_each

    def pack(self, embedding: PlaneEmbedding) -> np.ndarray:
        """The (C, h, w) tokens; numpy has no bfloat16: of half precision the bits are kept."""
        tokens = embedding.tokens.cpu()
        return (tokens if tokens.dtype is torch.float32 else tokens.view(torch.int16)).numpy()

    def unpack(self, array: np.ndarray, plane_shape: tuple[int, int]) -> PlaneEmbedding:
        """What was packed, (C, h, w), by a codec of the same signature, on the device."""
        tokens = torch.tensor(array)
        if tokens.dtype is torch.int16:
            tokens = tokens.view(self.device.precision)
        return PlaneEmbedding(tokens.to(self.device.name), plane_shape)


class SamSegmenter:
    """Segments with SAM: a point and the previous plane's mask logits to a mask (eq. 1, 2).

    Of SAM's candidates, the one with the highest predicted overlap is taken among those that
    are no wider than a particle and agree with the mask before; else among those that are no
    wider; if all are, the smallest. The predicted overlaps of a part of a particle, of all of it
    and of it with its surroundings differ by less than their noise: taken alone, they would jump
    from one to another, and end the walk. Masks are computed in a window
    around the point only, with the numbers that SAM's own upsampling gives there.

    Args:
        sam: the network; it is moved to the device, as `SamEncoder` says.
        device: where it computes. On MPS in float32; that has not been tried.
        max_extent: voxels, the largest particle along any axis.
        identity: what tells these weights from others, JSON values; for the signature.
        agreement: overlap (IoU) with the mask before from which a candidate agrees with it; 0 for
            the predicted overlap alone.

    Raises:
        InputError: a single plane needs more memory than the device has for it.
    """

    def __init__(
        self,
        sam: Sam,
        device: Device,
        *,
        max_extent: float,
        identity: dict[str, Any],
        agreement: float = 0.0,
    ) -> None:
        self.device = device
        self.max_extent = max_extent
        self.agreement = agreement
        self.identity = identity
        self.side = 2 * math.ceil(max_extent) + 3  # a pixel beyond what may be a mask
        self._encoder = SamEncoder(sam.image_encoder, device)  # before all is moved in full
        self._sam = sam.to(device.name)
        self._decoder = SamDecoder(self._sam)
        kind = device.name.split(":")[0]
        work = _DECODER_CACHE if kind == "cpu" else _DECODER_SHARE * device.limit
        self._decoding = Batches(int(work) // self._decoder.bytes_each)
        self._encoding = Batches(min(_MOST_AT_ONCE[kind], self._planes_that_fit()))

    @property
    def map_side(self) -> int:
        """Pixels along the side of the logits, which cover SAM's padded square."""
        return self._decoder.map_side

    @property
    def codec(self) -> EmbeddingCodec:
        """Tokens, told apart by the weights, the grey values and the precision."""
        precision = str(self.device.precision).removeprefix("torch.")
        # The same for every plane: SAM sees a square of its own size.
        each = self._decoder.tokens * self._decoder.channels * self.device.precision.itemsize
        return TokenCodec(
            {**self.identity, "shown": SHOWN, "precision": precision}, each, self.device
        )

    @property
    def held_bytes(self) -> float:
        """A share of the device's memory: embeddings stay there."""
        return _HELD_SHARE * self.device.limit

    @property
    def concurrent(self) -> bool:
        """There is one device, and its memory."""
        return False

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """As many as the encoder takes in one batch."""
        return self._encoding.size

    def embed(self, planes: np.ndarray) -> list[PlaneEmbedding]:
        """Run the image encoder.

        Args:
            planes: (b, h, w) float32, robust-normalised, protein positive.
        """
        images = grey(planes)
        shape = images.shape[1], images.shape[2]
        batches = self._encoding.run(lambda part: self._encode(images[part]), len(images))
        # Copies: of a plane that is dropped its batch must not stay.
        return [PlaneEmbedding(tokens.clone(), shape) for batch in batches for tokens in batch]

    def segment(
        self,
        embeddings: Sequence[Any],
        rows: np.ndarray,
        points_yx: np.ndarray,
        previous: Segmentation | None,
    ) -> Segmentation:
        """Decode n prompts, with a part of the memory at a time.

        Args:
            embeddings: what `embed` returned for planes of one shape.
            rows: (n,) int64, the embedding that each prompt is on.
            points_yx: (n, 2) pixels on its plane; or (n, p, 2), p points on one object.
            previous: the n masks of the plane before, or None.

        Returns:
            n masks in windows of `side` pixels around the (first) points, logits of SAM's padded
            square, predicted overlaps cut to 0 to 1, and the pixel in the window where the
            upsampled logits are highest.
        """
        points = np.asarray(points_yx, dtype=np.float64)
        points = points[:, None] if points.ndim == 2 else points  # (n, p, 2)
        rows = np.asarray(rows, dtype=np.int64)

        def work(part: slice) -> Segmentation:
            before = None if previous is None else previous.take(part)
            return self._segment([embeddings[row] for row in rows[part]], points[part], before)

        parts = [self._nothing(), *self._batches_of_prompts().run(work, len(points))]
        if self._keeps_logits:
            return Segmentation.concatenate(parts, torch.cat)
        return Segmentation.concatenate(parts)

    @property
    def _keeps_logits(self) -> bool:
        """Whether logits stay on the device: through the host they would cost more than a step."""
        return self.device.name.startswith("cuda")

    def _batches_of_prompts(self) -> Batches:
        return self._decoding

    def _view(
        self, embeddings: list[Any], points: np.ndarray, previous: Segmentation | None
    ) -> _Shown:
        """What the network sees of the planes (b): all of each."""
        return _Shown(
            tokens=torch.stack([embedding.tokens for embedding in embeddings]),
            shape=embeddings[0].shape,
            corners_yx=np.zeros((len(points), 2), np.int64),
            offsets_yx=nearest_voxel(points) - self.side // 2,
            plane_shape=embeddings[0].shape,
        )

    @torch.inference_mode()
    def _segment(
        self, embeddings: list[Any], points: np.ndarray, previous: Segmentation | None
    ) -> Segmentation:
        view = self._view(embeddings, points[:, 0], previous)
        scales = np.divide(self._input_shape(view.shape), view.shape)
        points_xy = ((points - view.corners_yx[:, None]) * scales)[..., ::-1].astype(np.float32)
        masks = None if previous is None else self._logits(previous)
        with self.device.autocast():
            logits, scores = self._decoder(view.tokens, self._send(points_xy), masks)
        maps = self._upsampled(logits, view)  # (b, k, side, side)
        inside = self._send(on_plane(view.offsets_yx, self.side, view.plane_shape))
        before = None
        if previous is not None and self.agreement > 0:
            old = shifted(previous.masks, previous.offsets_yx, view.offsets_yx, False)
            before = self._send(old)
        best = self._choice((maps > self._sam.mask_threshold) & inside[:, None], scores, before)
        each = torch.arange(len(best), device=best.device)
        logits, scores, maps = logits[each, best], scores[each, best].clamp(0, 1), maps[each, best]
        peaks = maps.where(inside, -torch.inf).flatten(1).argmax(dim=1).cpu().numpy()
        peaks_yx = np.stack(np.divmod(peaks, self.side), axis=1) + view.offsets_yx
        return Segmentation(
            view.offsets_yx,
            ((maps > self._sam.mask_threshold) & inside).cpu().numpy(),
            logits if self._keeps_logits else logits.cpu().numpy(),
            scores.cpu().numpy(),
            np.asarray(peaks_yx, np.float64),
        )

    def _upsampled(self, logits: Tensor, view: _Shown) -> Tensor:
        """(b, k, side, side) logits of the windows.

        SAM upsamples to its input size, drops the padding and resamples to the image's size.
        Both steps act on rows and columns separately, so that a matrix for each does it.
        """
        across = []
        for axis, (seen, size) in enumerate(
            zip(self._input_shape(view.shape), view.shape, strict=True)
        ):
            matrix = _resampling(logits.shape[-1], self._input_side, seen, size, self.device.name)
            start = view.offsets_yx[:, axis] - view.corners_yx[:, axis]
            line = (start[:, None] + np.arange(self.side)).clip(0, size - 1)
            across.append(matrix[self._send(line)][:, None])  # (b, 1, side, l)
        return across[0] @ logits @ across[1].transpose(2, 3)

    def _choice(self, masks: Tensor, scores: Tensor, before: Tensor | None) -> Tensor:
        """The candidate to take of each prompt.

        Args:
            masks: (b, k, side, side) bool.
            scores: (b, k).
            before: (b, side, side) bool, the masks of the plane before, or None.

        Returns:
            (b,) int64.
        """
        extents = torch.maximum(*(_extent(masks.any(dim=dim)) for dim in (2, 3)))
        extents = extents.where(extents > 0, 2 * self.side)  # an empty one is the last resort
        fitting = extents <= self.max_extent
        if before is not None:
            both = (masks & before[:, None]).sum(dim=(2, 3))
            either = (masks | before[:, None]).sum(dim=(2, 3))
            agreeing = fitting & (both >= self.agreement * either)
            fitting = torch.where(agreeing.any(dim=1, keepdim=True), agreeing, fitting)
        best = scores.where(fitting, -torch.inf).argmax(dim=1)
        return torch.where(fitting.any(dim=1), best, extents.argmin(dim=1))

    def _logits(self, masks: Segmentation) -> Tensor:
        """Those of masks, on the device."""
        return self._send(masks.logits) if isinstance(masks.logits, np.ndarray) else masks.logits

    def _nothing(self) -> Segmentation:
        """No mask, in the shapes that masks have."""
        shape = (0, self.map_side, self.map_side)
        return Segmentation(
            np.zeros((0, 2), np.int64),
            np.zeros((0, self.side, self.side), bool),
            torch.zeros(shape, device=self.device.name)
            if self._keeps_logits
            else np.zeros(shape, np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 2)),
        )

    @torch.inference_mode()
    def _encode(self, images: np.ndarray) -> Tensor:
        """(b, h, w) uint8 to (b, N, C) tokens, prepared exactly as `SamPredictor.set_image`."""
        height, width = self._input_shape((images.shape[1], images.shape[2]))
        resized = np.stack(
            [
                np.asarray(
                    Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
                )
                for image in images
            ]
        )
        colours = self._send(resized)[:, None].expand(-1, 3, -1, -1)
        return self._encoder(self._sam.preprocess(colours)).flatten(1, 2)

    def _input_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Of an image in SAM's padded square."""
        height, width = ResizeLongestSide.get_preprocess_shape(*shape, self._input_side)
        return max(height, 1), max(width, 1)

    @property
    def _input_side(self) -> int:
        return self._encoder.side

    def _send(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.name.startswith("cuda"):
            # From pinned memory a copy does not wait for the network: the next planes are
            # prepared meanwhile.
            return tensor.pin_memory().to(self.device.name, non_blocking=True)
        return tensor.to(self.device.name)

    def _planes_that_fit(self) -> int:
        """In the memory that weights, decoder and embeddings leave.

        Raises:
            InputError: none.
        """
        each = self._encoder.bytes_each
        weights = sum(parameter.nbytes for parameter in self._sam.parameters())
        share = 1 - _DECODER_SHARE - _HELD_SHARE
        free = share * self.device.limit - weights
        if each > free:
            needed = (each + weights) / share
            raise InputError(
                f"The segmenter needs about {needed / 1e9:.1f} GB on {self.device.name}, and may "
                f"use {self.device.limit / 1e9:.1f} GB",
                Remedy.SMALLER_SEGMENTER,
            )
        return int(free // each)


class WindowSamSegmenter(SamSegmenter):
    """SAM that sees a square window around each particle, scaled up to its input.

    A particle then has more of SAM's pixels than in a whole plane, but each prompt must be
    encoded by itself. The window lies around the point where a walk begins and stays there;
    beyond the plane its edge is repeated.

    Args:
        side: voxels of the window.
    """

    def __init__(
        self,
        sam: Sam,
        device: Device,
        *,
        max_extent: float,
        identity: dict[str, Any],
        side: int,
        agreement: float = 0.0,
    ) -> None:
        super().__init__(sam, device, max_extent=max_extent, identity=identity, agreement=agreement)
        self.side = side

    @property
    def codec(self) -> EmbeddingCodec:
        """An embedding is the plane in grey, a byte for each pixel."""
        return ArrayCodec(lambda shape: shape[0] * shape[1])

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """Enough to read them together."""
        return 16

    def embed(self, planes: np.ndarray) -> list[Any]:
        """planes: (b, h, w) float32, robust-normalised, protein positive."""
        return list(grey(planes))

    def _batches_of_prompts(self) -> Batches:
        return self._encoding

    def _view(
        self, embeddings: list[Any], points: np.ndarray, previous: Segmentation | None
    ) -> _Shown:
        """What the network sees of the planes (b): a window of each."""
        corners = (
            nearest_voxel(points) - self.side // 2 if previous is None else previous.offsets_yx
        )
        shape = embeddings[0].shape
        lines = (corners[:, :, None] + np.arange(self.side)).clip(0, np.array(shape)[:, None] - 1)
        windows = [image[np.ix_(*line)] for image, line in zip(embeddings, lines, strict=True)]
        return _Shown(
            tokens=self._encode(np.stack(windows)),
            shape=(self.side, self.side),
            corners_yx=corners,
            offsets_yx=corners,
            plane_shape=shape,
        )


@dataclass(frozen=True)
class _Shown:
    """Images as the network sees them, and where the masks are wanted.

    Attributes:
        tokens: (b, N, C).
        shape: (h, w) of the images.
        corners_yx: (b, 2) int64, the plane pixel of each image's first pixel.
        offsets_yx: (b, 2) int64, the plane pixel of each mask's first pixel.
        plane_shape: (h, w) of the planes.
    """

    tokens: Tensor
    shape: tuple[int, int]
    corners_yx: np.ndarray
    offsets_yx: np.ndarray
    plane_shape: tuple[int, int]


def grey(planes: np.ndarray) -> np.ndarray:
    """(b, h, w) uint8, black to white, of (b, h, w) float32 robust-normalised planes."""
    return np.rint((np.clip(planes, -SHOWN, SHOWN) + SHOWN) * (255 / (2 * SHOWN))).astype(np.uint8)


def _extent(lines: Tensor) -> Tensor:
    """(b, k) pixels from the first to the last set in lines (b, k, side); below 1 if none is."""
    place = torch.arange(lines.shape[2], device=lines.device)
    last = (lines * (place + 1)).amax(dim=2)
    return last + (lines * (lines.shape[2] - place)).amax(dim=2) - lines.shape[2]


@lru_cache(maxsize=32)
def _resampling(low: int, square: int, seen: int, size: int, device: str) -> Tensor:
    """(size, low) matrix of SAM's way from a low-resolution map to one axis of an image."""
    lines = torch.eye(low)[None]
    lines = F.interpolate(lines, size=square, mode="linear")[:, :, :seen]
    return F.interpolate(lines, size=size, mode="linear")[0].T.contiguous().to(device)
