.PHONY: run test check bench soak image translations clean

run: .venv/ready node_modules/ready       ## everything a first visitor needs, then a demo workspace
	.venv/bin/inkling demo

test: export PYTHONDONTWRITEBYTECODE =    # four workers and hundreds of processes need what one of them has compiled
test: .venv/ready-dev node_modules/ready  ## everything a contributor needs, then the whole suite
	scripts/servers
	.venv/bin/pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder \
	  || { [ $$? -eq 1 ] && .venv/bin/pytest --last-failed --last-failed-no-failures=none --maxfail=1; }

check: .venv/ready-dev                    ## style, types, import contracts, known vulnerabilities
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	scripts/audit

bench: .venv/ready-bench                  ## figures, side by side with the peers; never part of the tests
	scripts/servers bench
	.venv/bin/python -m tests.bench

soak: .venv/ready-dev                     ## the crash tests at length: a hundred kills of the edge, 5,000 messages on a bad day
	.venv/bin/python -m tests.bench.edge --kill 100
	.venv/bin/python -m tests.bench.soak

image:                                    ## the steps of the Dockerfile in a bare chroot (as root), and what comes of them
	scripts/image

translations: .venv/ready-dev             ## collect the words of the pages and bring the Russian catalogue up to date
	scripts/translations

.venv/ready: requirements.txt pyproject.toml scripts/venv
	scripts/venv requirements.txt
	touch $@

.venv/ready-dev: requirements-dev.txt pyproject.toml scripts/venv
	scripts/venv requirements-dev.txt
	touch $@ .venv/ready

.venv/ready-bench: .venv/ready-dev requirements-bench.txt
	.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-bench.txt
	touch $@

node_modules/ready: package-lock.json scripts/frontend
	scripts/frontend
	touch $@

clean:                                    ## forget what was installed here (never data/)
	rm -rf .venv node_modules tracker/web/static/vendor
