"""SamDecoder: SAM's mask decoder for prompts on many images at once."""

from __future__ import annotations

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention
from torch import Tensor
from torch.nn import functional as F

CACHED = 512
"""Tokens that a CPU upscales at a time."""


class SamDecoder:
    """Decodes points, and maybe a mask, on an image of its own for each prompt.

    The numbers are those of `MaskDecoder.forward`, for a fraction of the work. That method
    takes one image a call, and its transformer projects all image tokens for every attention.
    Here the few prompt tokens are projected instead (q · Wk t = Wkᵀq · t, and a weighted sum of
    Wv t is Wv of the weighted sum), and the convolutions, whose kernels never overlap, are
    matrix products on tokens that stay (tokens, channels) throughout.

    Args:
        sam: the network, on its device.

    Attributes:
        tokens: N, of an image.
        channels: C.
        map_side: l, pixels along the side of a low-resolution map.
    """

    def __init__(self, sam: Sam) -> None:
        self._prompts = sam.prompt_encoder
        self._decoder = sam.mask_decoder
        self._grid = int(self._prompts.image_embedding_size[0])  # tokens along a side
        self.tokens = self._grid**2
        self.channels = int(self._prompts.embed_dim)
        self.map_side = 4 * self._grid
        # A CPU is faster where what it works on stays in its cache.
        self._at_once = CACHED if sam.device.type == "cpu" else self.tokens
        self._position = self._prompts.get_dense_pe()[0].flatten(1).T.contiguous()  # (N, C)

    def __call__(
        self, images: Tensor, points_xy: Tensor, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Decode b prompts.

        Args:
            images: (b, N, C) embeddings, N tokens row by row.
            points_xy: (b, 2) float32 pixels of the padded square, each on an object; or (b, p, 2),
                p points on each.
            masks: (b, l, l) low-resolution logits of the padded square, or None.

        Returns:
            (b, k, l, l) logits of the k candidates, (b, k) their predicted overlap.
        """
        decoder = self._decoder
        transformer = decoder.transformer
        prompt = self._prompt(points_xy)
        keys = images + self._mask_tokens(masks).to(images.dtype)
        position = self._position.to(images.dtype)
        queries = prompt
        for layer in transformer.layers:
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(q=queries, k=queries, v=queries)
            else:
                asking = queries + prompt
                queries = queries + layer.self_attn(q=asking, k=asking, v=queries)
            queries = layer.norm1(queries)
            placed = keys + position
            read = _read_image(layer.cross_attn_token_to_image, queries + prompt, placed, keys)
            queries = layer.norm2(queries + read)
            queries = layer.norm3(queries + layer.mlp(queries))
            written = _write_image(
                layer.cross_attn_image_to_token, placed, queries + prompt, queries
            )
            keys = layer.norm4(written.add_(keys)).to(images.dtype)
        outputs = 1 + decoder.num_mask_tokens
        queries, prompt = queries[:, :outputs], prompt[:, :outputs]
        read = _read_image(
            transformer.final_attn_token_to_image, queries + prompt, keys + position, keys
        )
        queries = transformer.norm_final_attn(queries + read)
        # The first mask is the one that SAM offers where a prompt leaves no choice.
        weights = [
            mlp(queries[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)
        ]
        logits = self._maps(keys, torch.stack(weights[1:], dim=1))
        return logits.float(), decoder.iou_prediction_head(queries[:, 0])[:, 1:].float()

    @property
    def bytes_each(self) -> int:
        """About what a prompt needs on its way through."""
        return 4 * self.tokens * 10 * self.channels

    def _prompt(self, points_xy: Tensor) -> Tensor:
        """(b, n, C): the output tokens, then the points' and SAM's padding point's."""
        points_xy = points_xy.reshape(len(points_xy), -1, 2)
        labels = torch.ones(points_xy.shape[:2], dtype=torch.int, device=points_xy.device)
        # In full: half precision would move a point by half a pixel of the padded square.
        with torch.autocast(points_xy.device.type, enabled=False):
            sparse, _ = self._prompts(points=(points_xy, labels), boxes=None, masks=None)
        output = torch.cat([self._decoder.iou_token.weight, self._decoder.mask_tokens.weight])
        return torch.cat([output.expand(len(points_xy), -1, -1), sparse], dim=1)

    def _mask_tokens(self, masks: Tensor | None) -> Tensor:
        """(b, N, C) of mask prompts; (1, 1, C) without."""
        if masks is None:
            return self._prompts.no_mask_embed.weight[None]
        first, norm, act, second, norm_2, act_2, last = self._prompts.mask_downscaling
        g = self._grid
        # A token is 2 × 2 squares (p, q) of 2 × 2 pixels (r, s).
        pixels = masks.view(-1, g, 2, 2, g, 2, 2).permute(0, 1, 4, 2, 5, 3, 6)
        pixels = pixels.reshape(len(masks), g * g, 4, 4)
        squares = F.linear(pixels, first.weight.flatten(1), first.bias)
        squares = act(F.layer_norm(squares, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        weight = second.weight.permute(0, 2, 3, 1).flatten(1)
        tokens = F.linear(squares.flatten(2), weight, second.bias)
        tokens = F.layer_norm(tokens, norm_2.weight.shape, norm_2.weight, norm_2.bias, norm_2.eps)
        return F.linear(act_2(tokens), last.weight.flatten(1), last.bias)

    def _maps(self, keys: Tensor, weights: Tensor) -> Tensor:
        """(b, k, l, l): image tokens (b, N, C) upscaled, times the weights (b, k, C / 8)."""
        g = self._grid
        parts = [
            weights @ self._upscaled(part).transpose(1, 2)
            for part in keys.split(self._at_once, dim=1)
        ]
        maps = torch.cat(parts, dim=2).view(len(keys), -1, g, g, 2, 2, 2, 2)
        return maps.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(len(keys), -1, 4 * g, 4 * g)

    def _upscaled(self, keys: Tensor) -> Tensor:
        """(b, 16 n, C / 8): the pixels of n tokens, as squares of squares of 2 × 2."""
        first, norm, act, second, act_2 = self._decoder.output_upscaling
        weight = first.weight.permute(2, 3, 1, 0).flatten(0, 2)
        squares = F.linear(keys, weight, first.bias.repeat(4)).unflatten(2, (4, -1))
        squares = act(F.layer_norm(squares, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        weight = second.weight.permute(2, 3, 1, 0).flatten(0, 2)
        pixels: Tensor = act_2(F.linear(squares, weight, second.bias.repeat(4)))
        return pixels.view(len(keys), 16 * keys.shape[1], -1)


def _read_image(attention: Attention, queries: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
    """Prompt tokens attend to image tokens.

    Args:
        attention: from few to many.
        queries: (b, n, C).
        placed: (b, N, C), the image tokens with their positions.
        keys: (b, N, C), without.

    Returns:
        (b, n, C).
    """
    b, n, channels = queries.shape
    heads, inner = attention.num_heads, attention.internal_dim // attention.num_heads
    q = attention.q_proj(queries).view(b, n, heads, inner) * inner**-0.5
    # The bias of the keys would be the same for all of them, so that the softmax drops it.
    q = torch.einsum("bnhd,hdc->bhnc", q, attention.k_proj.weight.view(heads, inner, channels))
    shares = torch.softmax(q.flatten(1, 2) @ placed.transpose(1, 2), dim=2)  # (b, hn, N)
    means = (shares.to(keys.dtype) @ keys).view(b, heads, n, channels)
    values = torch.einsum(
        "bhnc,hdc->bnhd", means, attention.v_proj.weight.view(heads, inner, channels)
    )
    read: Tensor = attention.out_proj(values.flatten(2) + attention.v_proj.bias)
    return read


def _write_image(attention: Attention, placed: Tensor, asking: Tensor, queries: Tensor) -> Tensor:
    """Image tokens attend to prompt tokens.

    Args:
        attention: from many to few.
        placed: (b, N, C), the image tokens with their positions.
        asking: (b, n, C), the prompt tokens with theirs.
        queries: (b, n, C), without.

    Returns:
        (b, N, C).
    """
    b, n, channels = asking.shape
    heads, inner = attention.num_heads, attention.internal_dim // attention.num_heads
    k = attention.k_proj(asking).view(b, n, heads, inner) * inner**-0.5
    bias = torch.einsum("bnhd,hd->bhn", k, attention.q_proj.bias.view(heads, inner))
    k = torch.einsum("bnhd,hdc->bhnc", k, attention.q_proj.weight.view(heads, inner, channels))
    closeness = torch.baddbmm(bias.flatten(1)[:, :, None], k.flatten(1, 2), placed.transpose(1, 2))
    shares = torch.softmax(closeness.view(b, heads, n, -1), dim=2).flatten(1, 2)  # (b, hn, N)
    v = attention.v_proj(queries).view(b, n, heads, inner)
    v = torch.einsum("bnhd,chd->bhnc", v, attention.out_proj.weight.view(channels, heads, inner))
    v = v.flatten(1, 2).to(shares.dtype)
    return torch.baddbmm(attention.out_proj.bias, shares.transpose(1, 2), v)
