"""Points in files: read from any program, written for any program, always in voxels inside."""
