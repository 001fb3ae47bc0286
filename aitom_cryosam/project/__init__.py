"""A project: many tomograms, picked by one query or clicks in each, as one table."""

from aitom_cryosam.project.project import Project, ProjectTomogram
from aitom_cryosam.project.project_file import FILE, read_project, write_project

__all__ = ["FILE", "Project", "ProjectTomogram", "read_project", "write_project"]
