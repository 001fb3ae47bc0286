from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="aitom-cryosam",
    version="0.1.0",
    description="Pick every copy of a particle in a cryo-electron tomogram from one click",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-only",
    python_requires=">=3.10",
    packages=find_packages(include=["aitom_cryosam", "aitom_cryosam.*"]),
    install_requires=[
        "matplotlib",
        "mrcfile>=1.5",
        "numpy>=1.26",
        "pandas",
        "scikit-image",
        "scipy",
        "segment-anything",
        "starfile>=0.5.8",
        "threadpoolctl",
        "timm>=1.0",
        "torch>=2.2",
        "torchvision",
        "tqdm",
    ],
    extras_require={"test": ["hypothesis", "pytest"]},
    entry_points={"console_scripts": ["cryosam = aitom_cryosam.cli:main"]},
)
