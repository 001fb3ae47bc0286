"""How the package is built and what it needs."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="aitom-cryosam",
    version="0.1.0",
    description="Pick every copy of a particle in a cryo-electron tomogram from one click",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    url="https://github.com/xulabs/aitom",
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
    package_data={"aitom_cryosam": ["py.typed"]},
    install_requires=[
        "matplotlib",
        "mrcfile>=1.5",
        "numpy>=1.26",
        "pandas",
        "pillow",
        "platformdirs",
        "pooch>=1.8",
        "psutil",
        "scikit-image",
        "scipy",
        "segment-anything",
        "threadpoolctl",
        "timm>=1.0",
        "torch>=2.2",
        "torchvision",
        "tqdm",
    ],
    extras_require={
        "imod": ["imodmodel"],
        "test": ["hypothesis", "imodmodel", "pytest", "starfile>=0.5.8"],
    },
    entry_points={
        "console_scripts": [
            "cryosam = aitom_cryosam.cli:main",
            "cryosam-picking = aitom_cryosam.cli.picking:main",
        ],
        "aitom.pickers": ["cryosam = aitom_cryosam.aitom:CryoSAMPicker"],
    },
)
