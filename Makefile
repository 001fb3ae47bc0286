# Each target wants the environment of: pip install -e ".[test,dev]"
.PHONY: check test docs wheel lowest

check:  ## style, types, the examples in the docstrings
	ruff check .
	ruff format --check .
	mypy
	pytest -q --doctest-modules aitom_cryosam

test:
	pytest

docs:  ## the site, in build/site
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

wheel:  ## sdist and wheel, and the demo from the wheel without the networks' libraries
	.ci/wheel

lowest:  ## the tests with the lowest versions that setup.py states
	rm -rf build/lowest
	uv venv build/lowest
	uv pip install --python build/lowest --resolution lowest-direct ".[test]"
	build/lowest/bin/python -m pytest -m "not slow"
