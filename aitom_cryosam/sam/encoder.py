"""SamEncoder: SAM's image encoder with fused attention."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import (
    Attention,
    Block,
    get_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor, nn
from torch.nn import functional as F

from aitom_cryosam.device import Device, is_full

logger = logging.getLogger(__name__)

_Tables = tuple[Tensor, Tensor] | None
_Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
_BIASES = 4_000_000  # numbers that a CPU has at hand


class SamEncoder:
    """Encodes images with SAM.

    The numbers are those of `ImageEncoderViT.forward`, which writes the attention of all pairs of
    tokens out because it adds to it how far apart they are. See `_folded` for how to do without.

    Args:
        network: it is moved to the device, its matrices in the device's precision.
        device: where it computes. Norms, and the sum over the blocks, are float32 everywhere. Where
            blocks cannot be compiled for it, they run as they are written.

    Attributes:
        network: the same.
        side: pixels of an image.
        grid: g, tokens along a side.
        channels: C.
    """

    def __init__(self, network: ImageEncoderViT, device: Device) -> None:
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.to(device.precision)
        self.network = network.to(device.name)
        self.side = int(network.img_size)
        self.grid = self.side // int(network.patch_embed.proj.kernel_size[0])
        self.channels = int(network.neck[0].out_channels)
        self._device = device
        self._kernel = _folded if device.name.startswith("cuda") else _biased
        self._tables = [self._relative(block) for block in network.blocks]
        self._compiled = device.compiled

    @property
    def bytes_each(self) -> int:
        """About what an image needs on its way through."""
        item, most = self._device.precision.itemsize, 0
        for block in self.network.blocks:
            side = block.window_size or self.grid
            tokens = (-(-self.grid // side) * side) ** 2  # windows are filled up
            hidden, channels = block.mlp.lin1.weight.shape
            heads, wide = block.attn.num_heads, channels
            if block.attn.use_rel_pos:
                wide = heads * _width(channels // heads, side, side)
            attention = tokens * (4 * channels + item * (3 * channels + 5 * wide))
            mlp = self.grid**2 * item * (channels + 2 * hidden)
            most = max(most, 8 * self.grid**2 * channels + max(attention, mlp))
        return most

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(b, 3, side, side) normalised images to (b, g, g, C) tokens in the device's precision."""
        network = self.network
        with self._device.autocast():
            x = network.patch_embed(images).float().contiguous()
            if network.pos_embed is not None:
                x += network.pos_embed
            for block, tables in zip(network.blocks, self._tables, strict=True):
                x = self._block(block, x, tables)
            narrow, norm, blur, norm_2 = network.neck
            x = F.linear(x, narrow.weight.flatten(1))
            x = F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)
            x = blur(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            x = F.layer_norm(x, norm_2.weight.shape, norm_2.weight, norm_2.bias, norm_2.eps)
        return x.to(self._device.precision).contiguous()

    def _relative(self, block: Block) -> _Tables:
        """(s, s, d) each: what row and column of a query, then of a key, mean to a head."""
        if not block.attn.use_rel_pos:
            return None
        side = block.window_size or self.grid
        rows, columns = (
            get_rel_pos(side, side, table).to(self._device.precision)
            for table in (block.attn.rel_pos_h, block.attn.rel_pos_w)
        )
        return rows, columns

    def _block(self, block: Block, x: Tensor, tables: _Tables) -> Tensor:
        """(b, g, g, c) float32 after a block."""
        if self._compiled:
            try:
                # The first batch may not be the largest.
                torch._dynamo.maybe_mark_dynamic(x, 0)
                return _compiled()(block, x, tables, _flexed)
            except Exception as error:  # of many types, from all parts of the compiler
                if is_full(error):
                    raise
                logger.warning(
                    "SAM's blocks cannot be compiled on %s; they run as they are written.",
                    self._device.name,
                )
                logger.debug("Compiling SAM's blocks failed.", exc_info=True)
                self._compiled = False
        return _through(block, x, tables, self._kernel)


def _through(block: Block, x: Tensor, tables: _Tables, kernel: _Kernel) -> Tensor:
    """(b, g, g, c) float32 after a block."""
    precision = block.mlp.lin1.weight.dtype
    x = x + _attended(block, block.norm1(x).to(precision), tables, kernel)
    result: Tensor = x + block.mlp(block.norm2(x).to(precision))
    return result


@lru_cache(maxsize=1)
def _compiled() -> Callable[[Block, Tensor, _Tables, _Kernel], Tensor]:
    """The same for all networks of a process: what is compiled is kept with it."""
    return torch.compile(_through, fullgraph=True)


def _attended(block: Block, x: Tensor, tables: _Tables, kernel: _Kernel) -> Tensor:
    """Tokens (b, g, g, c) after the block's attention, of all or in windows."""
    if not block.window_size:
        return _attention(block.attn, x, tables, kernel)
    windows, padded = window_partition(x, block.window_size)
    windows = _attention(block.attn, windows, tables, kernel)
    whole: Tensor = window_unpartition(windows, block.window_size, padded, x.shape[1:3])
    return whole


def _attention(attention: Attention, x: Tensor, tables: _Tables, kernel: _Kernel) -> Tensor:
    """Tokens (b, h, w, c) attend to each other."""
    q, k, v = attention.qkv(x).unflatten(3, (3, attention.num_heads, -1)).unbind(3)
    if tables is None:
        q, k, v = (part.flatten(1, 2).transpose(1, 2) for part in (q, k, v))
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    else:
        rows = torch.einsum("bhwnd,hkd->bhwnk", q, tables[0])
        columns = torch.einsum("bhwnd,wkd->bhwnk", q, tables[1])
        found = kernel(q * attention.scale, k, v, rows, columns)
    projected: Tensor = attention.proj(found.reshape(x.shape))
    return projected


def _folded(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Attention with memory for the tokens only.

    Where the key is on the grid, 1 at its row and 1 at its column, becomes part of the key, and
    what these mean to the query part of the query: then
    q · k + rows[row of k] + columns[column of k] is a single product. CUDA's flash kernel takes
    up to 256 features if v has as many.

    Args:
        q: (b, h, w, n, d) queries of n heads, scaled.
        k: (b, h, w, n, d) keys.
        v: (b, h, w, n, d) values.
        rows: (b, h, w, n, h) what is added for keys of each row.
        columns: (b, h, w, n, w) the same for each column.

    Returns:
        (b, hw, n, d).
    """
    h, w, _, d = q.shape[1:]
    wide = q.new_zeros(3, *q.shape[:4], _width(d, h, w))
    for part, values in zip(wide, (q, k, v), strict=True):
        part[..., :d] = values
    wide[0, ..., d : d + h], wide[0, ..., d + h : d + h + w] = rows, columns
    wide[1, ..., d : d + h] = torch.eye(h, device=q.device)[:, None, None]
    wide[1, ..., d + h : d + h + w] = torch.eye(w, device=q.device)[:, None]
    q, k, v = wide.flatten(2, 3).transpose(2, 3)
    found = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    return found[..., :d].transpose(1, 2)


def _width(d: int, h: int, w: int) -> int:
    """Features of a folded head: a multiple of 8, as CUDA's kernels want it."""
    return -(-(d + h + w) // 8) * 8


def _biased(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same, for CPUs: a few queries at a time, with what is added for all keys.

    CPUs are slow on wide heads.
    """
    h, w = q.shape[1:3]
    k, v = (part.flatten(1, 2).transpose(1, 2) for part in (k, v))
    found = torch.empty_like(q)
    some = max(1, _BIASES * h // rows[..., 0].numel() // (h * w))
    for start in range(0, h, some):
        part = slice(start, start + some)
        bias = rows[:, part, ..., None] + columns[:, part, ..., None, :]  # (b, some, w, n, h, w)
        few = F.scaled_dot_product_attention(
            q[:, part].flatten(1, 2).transpose(1, 2),
            k,
            v,
            attn_mask=bias.flatten(4).flatten(1, 2).transpose(1, 2),
            scale=1.0,
        )
        found[:, part] = few.transpose(1, 2).unflatten(1, (-1, w))
    return found.flatten(1, 2)


def _flexed(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same, for what is compiled: what is added is looked up where it is needed."""
    from torch.nn.attention.flex_attention import flex_attention

    w = columns.shape[-1]
    # Contiguous, as some of the compiler's kernels take nothing else.
    q, k, v, rows, columns = (
        part.flatten(1, 2).transpose(1, 2).contiguous() for part in (q, k, v, rows, columns)
    )

    def relative(score: Tensor, b: Tensor, n: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + rows[b, n, query, key // w] + columns[b, n, query, key % w]

    found: Tensor = flex_attention(q, k, v, score_mod=relative, scale=1.0)
    return found.transpose(1, 2)
