"""A project: many tomograms, picked by one query or clicks in each, as one table."""

from aitom_cryosam.project.project import FILE, Project, ProjectTomogram

__all__ = ["FILE", "Project", "ProjectTomogram"]
