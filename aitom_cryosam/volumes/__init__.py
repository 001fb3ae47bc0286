"""Files of voxels."""
