# Short names for common commands; each makes .venv if it is not there.
.PHONY: env test lint format tune-demo clean

IN_VENV := bash -euo pipefail -c '. scripts/environment.sh; use_environment dev; exec "$$python" -m "$$@"' --

env:            # make or complete .venv
	@$(IN_VENV) pip --version

test:           # lint, types and tests: what CI runs
	bash run_tests.sh

lint:
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) mypy

format:
	@$(IN_VENV) ruff check --fix
	@$(IN_VENV) ruff format

tune-demo:      # the main job on the embedded detector
	bash run_tuning.sh --topology=ssd_shapes

clean:          # caches and build results; .venv and lpot_workspace stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
