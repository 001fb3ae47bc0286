"""Span: fewer coordinates for vectors that are wider than they are many."""

from __future__ import annotations

import numpy as np


def spanned(*sets: np.ndarray) -> list[np.ndarray]:
    """Sets of vectors in an orthonormal basis of all that they span.

    Lengths and dot products stay as they are, so that whatever follows from them does, too. A
    network's instances have thousands of features and are a few hundred: their covariance then
    has hundreds of rows in place of thousands.

    Args:
        sets: (n_i, d) each.

    Returns:
        (n_i, r) each, r the smaller of d and the sum of all n_i; the sets themselves if that is d.
    """
    vectors = np.concatenate(sets)  # (n, d)
    if len(vectors) >= vectors.shape[1]:
        return list(sets)
    coordinates = np.asarray(np.linalg.qr(vectors.T, mode="r")).T  # (n, n)
    return np.split(coordinates, np.cumsum([len(one) for one in sets[:-1]]))
