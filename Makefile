# Skein: build, try, test. `make help` lists the targets.

GO      ?= go
TAGS    := duckdb_arrow
TOOLS   := $(CURDIR)/.cache
PYTHON  := $(TOOLS)/venv/bin/python
JDBC    := $(TOOLS)/flight-sql-jdbc-driver.jar
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# What the tests use; scripts/deps.sh puts it there.
export SKEIN_TEST_MINIO     := $(TOOLS)/bin/minio
export SKEIN_TEST_PYTHON    := $(PYTHON)
export SKEIN_TEST_TPCHGEN   := $(TOOLS)/venv/bin/tpchgen-cli
export SKEIN_TEST_JDBC_JAR  := $(JDBC)
export SKEIN_TEST_NODE      := $(TOOLS)/venv/bin/node
export SKEIN_TEST_TPCDS     := $(TOOLS)/tpcds

.PHONY: help build demo deps test unit e2e lint generate bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

build: ## build bin/skein
	$(GO) build -tags $(TAGS) -ldflags "-X main.version=$(VERSION)" -o bin/skein ./cmd/skein

demo: build ## start a server with demo data and run queries; ONCE=1 stops it after
	scripts/demo.sh

deps: ## install what the tests need: redis-server, MinIO, Python, JDBC and Node.js clients
	scripts/deps.sh

test: deps unit e2e ## install what tests need, and pass them all

unit: ## tests of the packages
	$(GO) vet -tags $(TAGS) ./...
	$(GO) test -tags $(TAGS) -timeout 20m $$($(GO) list -tags $(TAGS) ./... | grep -v /internal/e2e)

e2e: build ## tests of the whole, with real servers and clients
	SKEIN_TEST_BINARY=$(CURDIR)/bin/skein $(GO) test -tags $(TAGS) -timeout 20m ./internal/e2e/...

lint: ## gofmt, vet, golangci-lint and buf, where they are installed
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	$(GO) vet -tags $(TAGS) ./...
	golangci-lint run --build-tags $(TAGS)
	buf lint

generate: ## generate code and OpenAPI from proto/
	buf generate
	rm -f proto/node/v1/*.swagger.json proto/olap/v1/ingest.swagger.json proto/olap/v1/admin.swagger.json proto/olap/v1/meta.swagger.json

bench: build ## TPC-H and writes against in-process DuckDB, in one run
	scripts/bench.sh

clean: ## remove what was built and downloaded
	rm -rf bin .cache examples/node/node_modules
