# Each target wants the environment of: pip install -e ".[test,dev]"
.PHONY: check test fuzz faults docs wheel lowest

check:  ## style, types, the examples in the docstrings
	ruff check .
	ruff format --check .
	mypy
	pytest -q -n 0 --doctest-modules --doctest-ignore-import-errors aitom_cryosam

test:
	pytest

fuzz:  ## 20,000 damaged files
	CRYOSAM_FUZZ=20000 pytest tests/test_fuzz.py

faults:  ## runs that are killed and ended at 20 moments
	CRYOSAM_FAULTS=20 pytest tests/faults

docs:  ## the site, in build/site
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

wheel:  ## sdist and wheel, and the demo from the wheel without the networks' libraries
	.ci/wheel

lowest:  ## the tests with the lowest versions that setup.py states
	rm -rf build/lowest
	uv venv build/lowest
	uv pip install --python build/lowest --resolution lowest-direct ".[test]"
	build/lowest/bin/python -m pytest -m "not slow"
