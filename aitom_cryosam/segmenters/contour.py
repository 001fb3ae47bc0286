"""ContourSegmenter: the closed contour around a point that encloses most of a particle."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from aitom_cryosam.segmenters.base import Segmentation

ANGLES = 32
RADII = 24


class ContourSegmenter:
    def __init__(
        self,
        diameter,
        *,
        sigma=0.12,
        levels=(0.3, 0.5),
        prior=0.5,
        width=0.15,
        reach=1.6,
        smooth=2,
        kappa=0.5,
        over=0.0,
        bgq=50,
        fq=80,
        bgmode=0,
    ):
        self.radius = diameter / 2
        self.sigma = sigma
        self.levels = levels
        self.prior = prior
        self.width = width
        self.reach = reach
        self.smooth = smooth
        self.kappa = kappa
        self.over = over
        self.bgq = bgq
        self.fq = fq
        self.bgmode = bgmode
        self.dr = reach * self.radius / RADII
        self.r = (np.arange(RADII) + 0.5) * self.dr
        th = np.arange(ANGLES) * 2 * np.pi / ANGLES
        self.cos, self.sin = np.cos(th), np.sin(th)
        self.half = int(np.ceil(reach * self.radius)) + 2

    def embed(self, plane):
        s = self.sigma * self.radius * 2
        return gaussian_filter(plane, s, mode="nearest") if s > 0.3 else plane

    def _sample(self, image, pts, fill=None):
        # image (h,w); pts (n,2) -> (n,K,R)
        y = pts[:, 0, None, None] + self.sin[:, None] * self.r
        x = pts[:, 1, None, None] + self.cos[:, None] * self.r
        return _bilinear(image, y, x)

    def segment(self, embedding, points_yx, previous):
        n = len(points_yx)
        image = embedding
        points = np.asarray(points_yx, float)
        I = self._sample(image, points).astype(np.float32)
        noise = image.std()
        h, w = image.shape
        side = 2 * self.half + 1
        offsets = np.floor(points + 0.5).astype(np.int64) - self.half
        weight = self.r * self.dr
        core = self.r <= self.radius
        ring = self.r > 1.15 * self.radius
        b = np.percentile(I[:, :, ring].reshape(n, -1), self.bgq, axis=1)
        if self.bgmode:
            b = np.minimum(b, 0) * 0
        P = 0
        if previous is None:
            f = np.percentile(I[:, :, core].reshape(n, -1), self.fq, axis=1)
        else:
            L = _windows_at(
                previous.logits, previous.offsets_yx, points, self.sin, self.cos, self.r
            )
            P = np.clip(L / (self.width * self.radius), -1, 1)
            m = (L > 0) * weight
            # top of what lies under previous mask
            vals = np.where(L > 0, I, np.nan).reshape(n, -1)
            with np.errstate(all="ignore"):
                f = np.nanpercentile(vals, self.fq, axis=1)
            f = np.where(np.isfinite(f), f, b)
        c = f - b
        best = None
        for level in self.levels:
            t = b + level * np.maximum(c, self.kappa * noise)
            E = (I - t[:, None, None]) / np.maximum(c, self.kappa * noise)[
                :, None, None
            ] + self.prior * P
            E = E - self.over * np.maximum(self.r / self.radius - 1, 0)
            V = np.cumsum(E * weight, axis=2)
            V = np.concatenate([np.zeros_like(V[:, :, :1]), V], axis=2)  # r index 0 = empty
            k = _closed_path(V, self.smooth)  # (n,K) boundary index
            rad = k * self.dr
            inside = np.arange(RADII)[None, None, :] < k[:, :, None]
            outside = (~inside) & (np.arange(RADII)[None, None, :] < k[:, :, None] + RADII // 5)
            mi = (I * inside * weight).sum((1, 2)) / np.maximum((inside * weight).sum((1, 2)), 1e-6)
            mo = (I * outside * weight).sum((1, 2)) / np.maximum(
                (outside * weight).sum((1, 2)), 1e-6
            )
            score = np.clip((mi - mo) / noise / 3, 0, 1) * (rad.mean(1) > 0)
            score = np.where((rad**2).mean(1) < (0.2 * self.radius) ** 2, 0, score)
            if best is None:
                best = (score.copy(), rad)
            else:
                up = score > best[0]
                best = (np.where(up, score, best[0]), np.where(up[:, None], rad, best[1]))
        score, rad = best
        masks, logits = _raster(points, offsets, side, rad, (h, w))
        # the deepest point: centroid
        area = masks.sum((1, 2))
        g = np.arange(side)
        cy = (masks.sum(2) * g).sum(1) / np.maximum(area, 1) + offsets[:, 0]
        cx = (masks.sum(1) * g).sum(1) / np.maximum(area, 1) + offsets[:, 1]
        q = np.stack([cy, cx], 1)
        q = np.where(area[:, None] > 0, q, points)
        ins = masks[
            np.arange(n),
            np.clip(np.floor(q[:, 0] + 0.5).astype(int) - offsets[:, 0], 0, side - 1),
            np.clip(np.floor(q[:, 1] + 0.5).astype(int) - offsets[:, 1], 0, side - 1),
        ]
        q = np.where(ins[:, None], q, points)
        masks[score <= 0] = False
        return Segmentation(offsets, masks, logits, score.astype(np.float32), q)


def _bilinear(image, y, x):
    h, w = image.shape
    y = np.clip(y, 0, h - 1)
    x = np.clip(x, 0, w - 1)
    iy = np.minimum(y.astype(np.int32), h - 2)
    ix = np.minimum(x.astype(np.int32), w - 2)
    fy = (y - iy).astype(np.float32)
    fx = (x - ix).astype(np.float32)
    flat = image.ravel()
    i = iy * w + ix
    return (flat[i] * (1 - fx) + flat[i + 1] * fx) * (1 - fy) + (
        flat[i + w] * (1 - fx) + flat[i + w + 1] * fx
    ) * fy


def _windows_at(win, off, pts, sin, cos, r):
    n, h, w = win.shape
    y = pts[:, 0, None, None] - off[:, 0, None, None] + sin[:, None] * r
    x = pts[:, 1, None, None] - off[:, 1, None, None] + cos[:, None] * r
    iy = np.clip(np.floor(y + 0.5).astype(int), 0, h - 1)
    ix = np.clip(np.floor(x + 0.5).astype(int), 0, w - 1)
    return win[np.arange(n)[:, None, None], iy, ix]


def _closed_path(V, s):
    n, K, R = V.shape
    best = V[:, 0].copy()
    back = np.empty((2 * K, n, R), np.int8)
    for step in range(1, 2 * K):
        pad = np.full((n, R + 2 * s), -np.inf, V.dtype)
        pad[:, s:-s] = best
        top = pad[:, :R].copy()
        arg = np.zeros((n, R), np.int8)
        for d in range(1, 2 * s + 1):
            c = pad[:, d : d + R]
            up = c > top
            top[up] = c[up]
            arg[up] = d
        back[step] = arg - s
        best = top + V[:, step % K]
    k = best.argmax(1)
    path = np.empty((2 * K, n), int)
    rows = np.arange(n)
    for step in range(2 * K - 1, -1, -1):
        path[step] = k
        if step:
            k = np.clip(k + back[step, rows, k], 0, R - 1)
    h = K // 2
    out = np.empty((n, K), int)
    for a in range(K):
        out[:, a] = path[h + ((a - h) % K)]
    return out


def _raster(points, offsets, side, rad, shape):
    n, K = rad.shape
    gy = (offsets[:, 0, None] + np.arange(side) - points[:, 0, None]).astype(np.float32)[:, :, None]
    gx = (offsets[:, 1, None] + np.arange(side) - points[:, 1, None]).astype(np.float32)[:, None, :]
    rr = np.sqrt(gy * gy + gx * gx)
    a = np.arctan2(gy, gx) * (K / (2 * np.pi)) % K
    i = a.astype(np.int32) % K
    f = a - a.astype(np.int32)
    rows = np.arange(n)[:, None, None]
    edge = rad[rows, i] * (1 - f) + rad[rows, (i + 1) % K] * f
    logits = (edge - rr).astype(np.float32)
    oky = offsets[:, 0, None] + np.arange(side)
    okx = offsets[:, 1, None] + np.arange(side)
    ok = ((oky >= 0) & (oky < shape[0]))[:, :, None] & ((okx >= 0) & (okx < shape[1]))[:, None, :]
    return (logits > 0) & ok, logits
