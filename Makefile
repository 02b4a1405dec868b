# The two commands of the README, and their parts.
python := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: bench demo-device test lint site preview clean

bench: ## benchmark the last commit, publish the site, print the table
	@sh tools/bootstrap.sh bench
	$(python) -m tools.bench

demo-device: ## measure two phones that need no hardware, from export to site
	@sh tools/bootstrap.sh bench
	$(python) -m tools.demo_device

test: lint ## lint, types, import rules and all tests
	$(python) -m pytest -n 2 --dist loadfile

lint:
	@sh tools/bootstrap.sh test
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m pyright --pythonpath $(python)
	lint-imports

site: ## publish the store as a site
	@sh tools/bootstrap.sh bench
	$(python) -m tools.publish

preview: ## publish, and look at it in a browser
	@sh tools/bootstrap.sh bench
	$(python) -m tools.publish --open

clean:
	rm -rf .venv .asv build dist
