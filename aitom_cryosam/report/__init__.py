"""What a run found, for people: a picture, and a page that holds everything in one file."""

from aitom_cryosam.report.picture import write_picture

__all__ = ["write_picture"]
