"""Lengths: their units, as programs spell them, in Å."""

from __future__ import annotations

_SPELLINGS = {
    0.01: "picometer picometers picometre pm",
    1.0: "angstrom angstroms ångström ångstrom ångströms å a ang angst",
    10.0: "nanometer nanometers nanometre nm",
    1e4: "micrometer micrometers micrometre micron microns um µm",
    1e7: "millimeter millimeters millimetre mm",
    1e10: "meter meters metre",
}
ANGSTROM = {name: size for size, names in _SPELLINGS.items() for name in names.split()}
"""Å of each unit, by its name in small letters; µ is the sign of micro, not the Greek letter."""
