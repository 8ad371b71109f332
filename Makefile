# The front door. Every target makes what it needs; what each one does stands in
# hatch.toml, package.json and tools/.

HATCH := .tools/bin/hatch
export HATCH_PYTHON := self
export HATCH_ENV_TYPE_VIRTUAL_UV_PATH := $(CURDIR)/.tools/bin/uv

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 26

demo: .tools/ready ## a site on 127.0.0.1, what each request of it sends, and it all drawn on a page
	@echo "  Preparing an environment; the first time that takes a minute …"
	@$(HATCH) --quiet run demo:prepare
	@exec "$$($(HATCH) env find demo)/bin/python" tools/demo.py

demo-graphite: .tools/ready node_modules/.package-lock.json ## the site before statsd, carbon and graphite-web, with our dashboard
demo-prometheus: .tools/ready node_modules/.package-lock.json ## the site before a Prometheus, with our rules and every query of our dashboard
demo-graphite demo-prometheus:
	@echo "  Preparing an environment; the first time that takes a minute …"
	@$(HATCH) --quiet run backends:prepare
	@exec "$$($(HATCH) env find backends)/bin/python" tools/demo_backend.py $(@:demo-%=%)

test: .tools/ready node_modules/.package-lock.json ## everything: each Python and Django, JavaScript, browsers
	@.tools/bin/python tools/run_tests.py

check: .tools/ready node_modules/.package-lock.json ## ruff, spelling, tidy files, workflows, mypy, pyright, tsc and who may import whom
	@$(HATCH) run lint:check
	@$(HATCH) run types:check
	@.tools/bin/python tools/floors.py
	@.tools/bin/python tools/urls.py
	@npm run --silent check

system-deps: ## servers and browsers for the tests, from the system's packages
	@tools/system-deps

docs: .tools/ready ## the site of the documentation, into docs/_build/html
	@$(HATCH) run docs:build

bench: .tools/ready node_modules/.package-lock.json ## measure what metlog costs, beside its peers
	@$(HATCH) run bench:run $(ARGS)
	@$(HATCH) run bench-django:run $(ARGS)
	@$(HATCH) run bench-django-mozilla:run $(ARGS)

django-suites: .tools/ready ## Django's own tests, with and without all patches (not in CI)
	@$(HATCH) run django-suites:run $(ARGS)

soak: .tools/ready ## half an hour of mixed load: what grows, and what arrives
	@$(HATCH) run counted:soak $(ARGS)

attack: .tools/ready ## a minute of hostile load on what is open to everybody
	@$(HATCH) run counted:attack $(ARGS)

counted: .tools/ready ## what arrives, client by server by trouble (takes an hour)
	@$(HATCH) run counted:run $(ARGS)

build: .tools/ready node_modules/.package-lock.json ## what is released, into dist/
	@$(HATCH) run build:packages
	@npm pack --workspaces --pack-destination dist

release-check: .tools/ready node_modules/.package-lock.json ## build all four packages and try what users get
	@rm -rf dist
	@$(MAKE) --no-print-directory build
	@$(HATCH) run build:python tools/release_check.py

clean: ## forget every environment and everything built
	@-$(HATCH) env prune
	@rm -rf .tools .demo .django-suites dist docs/_build node_modules test-results

.tools/ready: tools/bootstrap tools/requirements.txt
	@tools/bootstrap
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@npm ci
	@touch $@

.PHONY: help demo demo-graphite demo-prometheus test check system-deps docs bench counted soak attack django-suites build release-check clean
