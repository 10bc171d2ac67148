# Each recipe is one plain command, also written in CONTRIBUTING.md. Without a name: test and lint.

default: test lint

# Run the test suite.
test *arguments:
    ./scripts/test {{arguments}}

# Check formatting, style and types.
lint:
    .venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

# Format, and mend what can be mended.
fix:
    .venv/bin/ruff check --fix . ; .venv/bin/ruff format .

# Make the generated pages anew.
docs:
    .venv/bin/python scripts/generate.py

# Measure what is promised of speed and space.
bench *arguments:
    for bench in tests/bench/bench_*.py; do .venv/bin/python "$bench" {{arguments}}; done

# All that must hold before a change is taken.
ci:
    bash .ci/run
