"""How the package is built and what it needs."""

from pathlib import Path

from setuptools import find_packages, setup

# Version 2 reads OME-Zarr 0.4, beside copick and with Python 3.10; 0.5 needs version 3.
ZARR = ["zarr>=2.18.3; python_version < '3.11'", "zarr>=2.18.7; python_version >= '3.11'"]

setup(
    name="aitom-cryosam",
    version="0.1.0",
    description="Pick every copy of a particle in a cryo-electron tomogram from one click",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="aitom_cryosam developers",
    url="https://github.com/xulabs/aitom",
    project_urls={"AITom": "https://github.com/xulabs/aitom"},
    license="GPL-3.0-only",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    keywords="cryo-ET tomography particle-picking segmentation",
    python_requires=">=3.10",
    packages=find_packages(include=["aitom_cryosam", "aitom_cryosam.*"]),
    package_data={
        "aitom_cryosam": ["py.typed"],
        "aitom_cryosam.napari": ["napari.yaml"],
        "aitom_cryosam.report": ["templates/*"],
        "aitom_cryosam.scoring": ["*.npz"],
    },
    install_requires=[
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "mrcfile>=1.5",
        "numpy>=1.26",
        "pandas>=2.1",
        "pillow>=10.0",
        "platformdirs>=4.0",
        "psutil>=5.9",
        "requests>=2.31",
        "scikit-image>=0.22",
        "scipy>=1.15.3",
        "segment-anything>=1.0",
        "threadpoolctl>=3.2",
        "timm>=1.0",
        "torch>=2.5",
        "torchvision>=0.20",  # segment-anything imports it without declaring it
        "tqdm>=4.66",
        "urllib3>=2.0",
    ],
    extras_require={
        "imod": ["imodmodel>=0.1.0"],
        "napari": ["napari>=0.5", "pyqt6>=6.5", "qtpy>=2.4"],
        "project": ["cryptography>=42", "dask>=2024.1", "distributed>=2024.1"],
        "copick": ["click>=8.1.8", "copick>=1.31"],
        "zarr": ZARR,
        "test": [
            "hypothesis>=6.90",
            "imodmodel>=0.1.0",
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "setuptools>=68",
            "starfile>=0.5.8",
            *ZARR,
        ],
        # What `make` runs, pinned: a new release must not turn a good commit red.
        "dev": [
            "build==1.6.1",
            "mkdocs-material==9.8.2",
            "mkdocstrings-python==2.0.11",
            "mkdocstrings==1.0.8",
            "mypy==2.4.1",
            "pre-commit==4.7.0",
            "ruff==0.17.6",
            "uv==0.13.9",
        ],
    },
    entry_points={
        "console_scripts": [
            "cryosam = aitom_cryosam.cli:main",
            "cryosam-picking = aitom_cryosam.cli.picking:main",
        ],
        "napari.manifest": ["aitom-cryosam = aitom_cryosam.napari:napari.yaml"],
        "copick.inference.commands": ["cryosam = aitom_cryosam.cli.copick:cryosam"],
        "aitom.pickers": ["cryosam = aitom_cryosam.aitom:CryoSAMPicker"],
    },
)
