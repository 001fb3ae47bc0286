"""Features and embeddings on disk, for later runs on the same tomogram."""

from aitom_cryosam.cache.folder import Cache, Entry

__all__ = ["Cache", "Entry"]
