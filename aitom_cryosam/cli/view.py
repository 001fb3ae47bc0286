"""`cryosam view`: a result in napari, with the tomogram, masks, picks, clicks and the widget."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from aitom_cryosam.errors import InputError

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam view`."""
    parser.add_argument(
        "result", metavar="RESULT", help="folder that `pick` wrote, its run.json, or a tomogram"
    )


def run(args: argparse.Namespace) -> int:
    """Open napari, and wait until it is closed.

    Raises:
        InputError: napari is not installed, or the result cannot be used.
    """
    missing = [name for name in ("napari", "qtpy") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{missing[0]} is not installed; type: pip install 'aitom-cryosam[napari]'."
        )
    from aitom_cryosam.napari.reader import reader
    from aitom_cryosam.record import records_at

    path = Path(args.result)
    read = reader(str(path))
    if read is None:
        if not os.path.isfile(path):
            records_at(path)  # says what a folder holds, or that there is nothing
        raise InputError(f"Expected a result or a tomogram to show, got {path}.")
    shown = read(str(path))
    if sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):  # Qt would abort
        raise InputError(
            "There is no display to open napari on; log in with `ssh -X`, or make a page for any "
            "browser: `cryosam report`."
        )
    import napari
    from napari.layers import Layer

    from aitom_cryosam.napari.widget import CryoSAMWidget

    viewer = napari.Viewer(title=f"CryoSAM: {path.name}")
    for data, how, kind in shown:
        viewer.add_layer(Layer.create(data, how, kind))
    viewer.window.add_dock_widget(CryoSAMWidget(viewer), name="CryoSAM", area="right")
    napari.run()
    return 0
