"""The napari plugin. Nothing outside of this folder imports napari or Qt."""
