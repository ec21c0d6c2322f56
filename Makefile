# Everything that is done with a checkout. It needs Go and git, and a C compiler for the race detector.

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := .bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GREMLINS_VERSION := v0.6.0
GREMLINS := .bin/gremlins-$(GREMLINS_VERSION)

# How long each fuzz target runs.
FUZZTIME ?= 10s

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Show the whole pipeline, with no account anywhere
	bin/stanch demo

.PHONY: build
build: ## Build bin/stanch
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/stanch

.PHONY: test
test: ## Run every test, with the race detector and in a random order
	go test -race -shuffle=on -parallel 4 -timeout 30m ./...

.PHONY: soak
soak: ## Run every test again with STANCH_SOAK=1: exercises at full size, memory measured, no race detector
	STANCH_SOAK=1 go test -parallel 4 -timeout 60m ./...

.PHONY: lint
lint: tools ## Check vet, the linters and the formatting
	go vet ./...
	@! go list -deps ./cmd/stanch | grep -x testing # suites are for tests alone: the product links no testing
	$(GOLANGCI_LINT) run --allow-parallel-runners ./...
	$(GOLANGCI_LINT) fmt --diff ./...

.PHONY: deploy
deploy: build ## Check deploy: rules, unit, compose file, chart; needs what .ci/run installs
	promtool check config deploy/prometheus/prometheus.yaml
	promtool test rules deploy/prometheus/rules_test.yaml
	amtool check-config deploy/alertmanager/alertmanager.yaml
	docker-compose -f deploy/compose.yaml config -q
	for role in RECEIVER COLLECTOR ENGINE NOTIFIER STANCH OPERATOR; do echo $${role}_NKEY=U; done >bin/nkeys.env
	docker-compose --env-file bin/nkeys.env -f deploy/compose.cluster.yaml config -q
	systemd-analyze security --offline=true --threshold=15 --no-pager deploy/systemd/stanch.service >/dev/null
	@mkdir -p bin/unit
	sed 's#/usr/local/bin/stanch#$(CURDIR)/bin/stanch#' deploy/systemd/stanch.service >bin/unit/stanch.service
	systemd-analyze verify bin/unit/stanch.service
	cd deploy/charttest && go vet ./... && go test ./...

# How many histories the simulation lives through, and the first seed.
SEEDS ?= 1000
SEED ?= 1

.PHONY: sim
sim: ## Live through SEEDS made-up histories of crashes and faults, from SEED on
	go test ./dispositions -run '^TestSim$$' -timeout 60m -args -sim.seeds=$(SEEDS) -sim.first=$(SEED)

.PHONY: bench
bench: ## Run every benchmark, each beside its baseline
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# The packages that make mutate changes, and how often the time of a test run a mutant may take: one that hangs is noticed too.
MUTATE ?= dispositions/policy dispositions dispositions/ledger receiver receiver/seal
PATIENCE ?= 30

.PHONY: mutate
mutate: $(GREMLINS) ## Change one thing at a time in MUTATE's packages; list what no test notices. Takes hours
	@for package in $(MUTATE); do \
		echo "$$package"; \
		GOFLAGS=-failfast $(GREMLINS) unleash --workers 1 --timeout-coefficient $(PATIENCE) --output-statuses lct \
			--invert-assignments --invert-bitwise --invert-bwassign --invert-logical --invert-loopctrl --remove-self-assignments \
			./$$package; \
	done

.PHONY: tools
tools: $(GOLANGCI_LINT) ## Install the linter into .bin; the first time takes minutes

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv .bin/golangci-lint $@

$(GREMLINS):
	GOBIN=$(CURDIR)/.bin go install github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)
	mv .bin/gremlins $@
