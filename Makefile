# Everything a contributor runs. `make` shows this list.

LINT := go tool -modfile=tools/go.mod
NESTED := $(patsubst %/go.mod,%,$(filter-out tools/go.mod,$(wildcard */go.mod examples/*/go.mod)))

.PHONY: help check fmt lint test race short fuzz bench microbench e2e fault-matrix spool history promise kills generate tidy build dev clean

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

check: fmt lint race ## what a change has to pass before it is sent

fmt: ## format all Go code
	$(LINT) golangci-lint fmt ./...

lint: ## run the linters and the check for determinism of workflows
	go vet ./...
	$(LINT) golangci-lint run ./...
	$(LINT) workflowcheck -config .workflowcheck.yml ./workflows/...
	@for dir in $(NESTED); do echo "== $$dir"; \
		(cd $$dir && go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run ./...) || exit 1; done

test: ## run all tests
	go test ./...

race: ## run all tests with the race detector
	go test -race -timeout 20m ./...

short: ## run the tests that take seconds
	go test -short ./...

fuzz: ## fuzz every target for FUZZTIME (30s)
	.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## measure the daemon against a bare workflow; BENCH=quota for one, SHORT=1 or LONG=1
	go test -run '^$$' -bench '(?i)$(or $(BENCH),.)' -benchtime 1x -timeout 2h ./bench $(if $(SHORT),-short) $(if $(LONG),-long) $(ARGS)

microbench: ## run the benchmarks of single functions
	go test -run '^$$' -bench . -benchmem $$(go list ./... | grep -v '/bench$$')

e2e: ## run the tests that drive the whole daemon through faults
	go test -count=1 -timeout 20m -v ./e2e/...

fault-matrix: ## break everything in every phase, with EVENTS (2000) for each, and write docs/reliability.md
	go test -count=1 -timeout 6h -v -run TestFaults ./e2e -matrix $(or $(EVENTS),2000) -out $(CURDIR)/docs/reliability.md

spool: ## stop Temporal for 5 minutes under 100 webhooks/s, and post a burst of 10,000
	CRMSYNC_E2E_OUTAGE=$(or $(OUTAGE),5m) CRMSYNC_E2E_RATE=$(or $(RATE),100) CRMSYNC_E2E_BURST=$(or $(BURST),10000) \
		go test -count=1 -timeout 2h -v -run 'TestSpoolWhileTemporalIsAway|TestBurst' ./e2e

history: ## reconcile 500 texts of a paused webhook, and backfill 10,000 through two kills
	CRMSYNC_E2E_PAUSED=$(or $(PAUSED),500) CRMSYNC_E2E_HISTORY=$(or $(TEXTS),10000) \
		go test -count=1 -timeout 3h -v -run 'TestReconcile$$|TestBackfill$$' ./e2e

promise: ## post EVENTS (2000) and duplicates while everything is killed or down in turn
	CRMSYNC_E2E_PROMISE=$(or $(EVENTS),2000) go test -count=1 -timeout 1h -v -run 'TestPromise$$' ./e2e

kills: ## kill a process at 200 random points of a renewed sign-in
	CRMSYNC_OAUTH_KILLS=$(or $(KILLS),200) go test -count=1 -timeout 20m -v -run Killed ./internal/oauth

generate: ## write generated and golden files anew; look at the difference
	go generate ./...
	go test ./config ./internal/justcall ./internal/skeleton ./workflows -update

tidy: ## tidy every module
	@for dir in . tools $(NESTED); do (cd $$dir && go mod tidy) || exit 1; done

build: ## build ./crmsync
	go build -o crmsync .

dev: ## try it: a Temporal server, Redis, the daemon and a sandbox CRM
	go run . dev

clean: ## remove what was built
	rm -rf crmsync devserver/devserver dist
