# Every verb works on a fresh clone: what it needs is installed on first use, into
# .venv and the node_modules below tests/, and again only when a lock file changes.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-newest again again-newest long soak fresh tools test-directus lint types bench build size clean conformance docs lock

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NEWEST_VENV := build/newest
NEWEST_STAMP := $(NEWEST_VENV)/.installed
NODE := tests/js
NODE_STAMP := $(NODE)/node_modules/.installed
CLIENT := clients/js
CLIENT_STAMP := $(CLIENT)/node_modules/.installed
CLIENT_BUILD := $(CLIENT)/dist/.built
CLIENT_SIZE := $(CLIENT)/size
CLIENT_SIZE_STAMP := $(CLIENT_SIZE)/node_modules/.installed
ASYNCAPI := tests/asyncapi
ASYNCAPI_STAMP := $(ASYNCAPI)/node_modules/.installed
DIRECTUS := tests/directus
DIRECTUS_STAMP := $(DIRECTUS)/node_modules/.installed

# The first Python on PATH that is new enough; choose another with `make PYTHON=...`.
PYTHON ?= $(firstword $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name; done))

# The newest Python that is supported and installed, on PATH or by pyenv, when it is newer than that one.
PYENV_ROOT ?= $(HOME)/.pyenv
NEWEST ?= $(firstword $(shell for name in \
	$(foreach version,3.13 3.12,python$(version) $(wildcard $(PYENV_ROOT)/versions/$(version).*/bin/python)); do \
	$$name -c 'import sys; sys.exit(sys.version_info[:2] <= tuple(map(int, sys.argv[1:])))' \
		$$($(PYTHON) -c 'import sys; print(*sys.version_info[:2])') 2>/dev/null && echo $$name; done))

# The lock is resolved on the oldest Python it serves.
LOCK_PYTHON ?= python3.11
LOCK_VENV := build/lock
# Only the index itself is asked: wheels lying on this machine may carry other hashes.
INDEX_ONLY := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null

# Tests wait for processes and sockets half of their time, so that a core has work for two of them. Each
# worker begins with a part of the files of its own, and takes over from others when that is done.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 4 ? 2 * cores : 8)))
PARALLEL := -n $(WORKERS) --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## serve every endpoint with pages and simulations, nothing else needed
	$(BIN)/portward demo

test: $(STAMP) $(NODE_STAMP) $(ASYNCAPI_STAMP) $(CLIENT_BUILD) tools ## run the tests and check the coverage
	cd $(CLIENT) && npm test --silent
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term

test-newest: $(NODE_STAMP) $(ASYNCAPI_STAMP) $(CLIENT_BUILD) tools ## run the tests on the newest supported Python that is installed
	@test -z "$(NEWEST)" || $(MAKE) --no-print-directory $(NEWEST_STAMP)
	@if test -z "$(NEWEST)"; then \
		echo "No supported Python newer than that of make test is installed: nothing to do."; \
	else $(NEWEST_VENV)/bin/python -m pytest $(PARALLEL); fi

long: $(STAMP) $(NODE_STAMP) $(CLIENT_BUILD) tools ## run the tests that take more than ten seconds of real time each
	$(BIN)/pytest -n 2 --dist worksteal -m long --durations=0 --durations-min=10

again: $(STAMP) ## run once more, one by one, the tests that failed in the run before
	$(BIN)/pytest -n 0 -m "" --last-failed --last-failed-no-failures none

again-newest: $(NEWEST_STAMP) ## the same on the newest supported Python
	$(NEWEST_VENV)/bin/python -m pytest -n 0 -m "" --last-failed --last-failed-no-failures none

fresh: ## install from nothing with three pips beside newer releases, and serve the demo, in ten minutes
	$(PYTHON) -m tests.fresh

soak: $(STAMP) tools ## run what shows only after minutes: presence of ten nodes killed at once
	timeout 20m $(BIN)/pytest -m soak -s --durations=0 --durations-min=5

test-directus: $(STAMP) $(DIRECTUS_STAMP) ## run the tests that need a real Directus; installing it takes minutes
	$(BIN)/pytest $(DIRECTUS)

lint: $(STAMP) $(CLIENT_STAMP) ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	cd $(CLIENT) && npm run --silent lint

types: $(STAMP) $(CLIENT_STAMP) ## check the types of source, tests, benches and the TypeScript client
	$(BIN)/mypy
	cd $(CLIENT) && npm run --silent types

bench: $(STAMP) ## measure, beside whatever peers are installed
	-@$(MAKE) --no-print-directory $(NODE_STAMP)
	$(BIN)/python -m bench

conformance: $(STAMP) ## run the outside protocol suites
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/conformance/run.sh

build: $(STAMP) $(CLIENT_BUILD) ## make the sdist, the wheel and the npm package in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	cd $(CLIENT) && npm pack --silent --ignore-scripts --pack-destination ../../dist

size: $(CLIENT_BUILD) $(CLIENT_SIZE_STAMP) ## print the sizes of the TypeScript client, beside those of its peers
	cd $(CLIENT) && npm run --silent size

docs: $(STAMP) $(CLIENT_STAMP) ## write what follows from the code: pages of docs/reference, types of clients
	$(BIN)/python -m docs.generate
	cd $(CLIENT) && npm run --silent reference

clean: ## remove everything that was generated
	rm -rf $(VENV) $(NODE)/node_modules $(ASYNCAPI)/node_modules $(DIRECTUS)/node_modules build dist htmlcov
	rm -rf $(CLIENT)/node_modules $(CLIENT)/dist $(CLIENT_SIZE)/node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## resolve requirements.lock again (ARGS=--upgrade takes newer versions)
	$(LOCK_PYTHON) -m venv --clear $(LOCK_VENV)
	$(INDEX_ONLY) $(LOCK_VENV)/bin/pip install -qq pip-tools==7.6.2
	$(INDEX_ONLY) CUSTOM_COMPILE_COMMAND="make lock" \
		$(LOCK_VENV)/bin/pip-compile --quiet --generate-hashes --no-strip-extras --extra dev \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(ARGS) \
		--output-file requirements.lock pyproject.toml
	rm -rf $(LOCK_VENV)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Portward needs Python 3.11 or newer on PATH." >&2; exit 1; }
	@echo "Installing into $(VENV), once."
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { $(venv_without_ensurepip); }
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(NEWEST_STAMP): requirements.lock pyproject.toml
	@echo "Installing into $(NEWEST_VENV) with $(NEWEST), once."
	@mkdir -p $(dir $(NEWEST_VENV)) && $(NEWEST) -m venv --clear $(NEWEST_VENV)
	@$(NEWEST_VENV)/bin/python -m pip install -qq --require-hashes -r requirements.lock
	@$(NEWEST_VENV)/bin/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

# Debian keeps ensurepip in a package of its own. Without it: let an installed pip fill
# the environment, or install that package when allowed to, or say what to install.
define venv_without_ensurepip
{ $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	$(PYTHON) -m pip --python $(BIN)/python install -qq pip; } >/dev/null 2>&1 || \
{ test "$$(id -u)" = 0 && apt-get update && apt-get install --yes python3-venv && \
	$(PYTHON) -m venv --clear $(VENV); } >/dev/null 2>&1 || \
{ echo "Python cannot make a virtual environment; run: apt-get install python3-venv" >&2; exit 1; }
endef

# Debian's packages that tests need as peers. Whoever may install them does; without them the tests of
# Redis, of the browser and of the proxies skip themselves, and say so.
tools:
	@missing=""; PATH="$$PATH:/usr/sbin:/sbin"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v redis-sentinel >/dev/null || missing="$$missing redis-sentinel"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	test -e /usr/lib/nginx/modules/ngx_stream_module.so || missing="$$missing libnginx-mod-stream"; \
	command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	test -n "$$missing" || exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "Installing$$missing, once."; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
			apt-get install -qq --yes --no-install-recommends $$missing; } >/dev/null 2>&1 || \
			echo "That failed: the tests that need them will be skipped." >&2; \
	else \
		echo "Not installed, so that their tests are skipped:$$missing" >&2; \
	fi

$(NODE_STAMP): $(NODE)/package.json $(NODE)/package-lock.json $(NODE)/.npmrc
	@command -v npm >/dev/null || { echo "The tests need Node 20 with npm on PATH." >&2; exit 1; }
	@cd $(NODE) && npm ci --silent
	@touch $@

$(CLIENT_STAMP): $(CLIENT)/package.json $(CLIENT)/package-lock.json $(CLIENT)/.npmrc
	@command -v npm >/dev/null || { echo "The TypeScript client needs Node 20 with npm on PATH." >&2; exit 1; }
	@cd $(CLIENT) && npm ci --silent
	@touch $@

$(CLIENT_BUILD): $(CLIENT_STAMP) $(CLIENT)/scripts/build.mjs $(CLIENT)/scripts/names.mjs $(CLIENT)/tsconfig.build.json $(shell find $(CLIENT)/src -type f)
	@cd $(CLIENT) && npm run --silent build
	@touch $@

$(CLIENT_SIZE_STAMP): $(CLIENT_SIZE)/package.json $(CLIENT_SIZE)/package-lock.json $(CLIENT_SIZE)/.npmrc
	@cd $(CLIENT_SIZE) && npm ci --silent --ignore-scripts
	@touch $@

$(ASYNCAPI_STAMP): $(ASYNCAPI)/package.json $(ASYNCAPI)/package-lock.json $(ASYNCAPI)/.npmrc
	@command -v npm >/dev/null || { echo "The tests need Node 20 with npm on PATH." >&2; exit 1; }
	@cd $(ASYNCAPI) && npm ci --silent
	@touch $@

# Two packages are compiled: what runs is then what the lock file has the hashes of. The headers
# come from beside this Node when they are there, and are fetched when they are not.
$(DIRECTUS_STAMP): $(DIRECTUS)/package.json $(DIRECTUS)/package-lock.json $(DIRECTUS)/.npmrc
	@command -v npm >/dev/null || { echo "Directus needs Node 20 with npm on PATH." >&2; exit 1; }
	@echo "Installing Directus, once; with a C++ compiler, in about five minutes."
	@cd $(DIRECTUS) && prefix="$$(node -p 'path.resolve(process.execPath, "../..")')" && \
		{ test ! -e "$$prefix/include/node/node_api.h" || export npm_config_nodedir="$$prefix"; } && \
		npm_config_build_from_source=true npm ci --loglevel=error
	@touch $@
