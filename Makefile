# make demo        watch the whole path work; needs nothing but Go
# make test        everything, after installing what the tests need (it says what first)
# make test-quick  the same tests without the race detector and without set-up
# make build       bin/keytender, static
# make bench       how fast and how small, measured beside a bare server: bin/bench.json
# make check       format, vet for each system, staticcheck, known vulnerabilities, go.mod

VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
# Where git is missing, or refuses a checkout of another owner, go would fail to stamp.
STAMP := $(if $(shell git rev-parse HEAD 2>/dev/null),true,false)
TOOL := go tool -modfile=.ci/tools/go.mod
MODULES := . .ci/tools agent/internal/providertest/fosite vault/vaulttest/hashicorp vault/vaulttest/conjurclient

.PHONY: demo test test-quick build bench check go

demo: build
	bin/keytender demo $(ARGS)

test: go
	go run ./installer/testbed/setup
	umask 022; $(TOOL) gotestsum --format pkgname -- $$([ "$$(go env CGO_ENABLED)" = 0 ] || echo -race) ./...

test-quick: go
	umask 022; $(TOOL) gotestsum --format pkgname -- ./...

build: go
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(STAMP) -ldflags "-s -w -X main.version=$(VERSION)" -o bin/keytender ./service

bench: build
	go run ./agent/internal/bench -out bin/bench.json

check: go
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt these: $$unformatted"; exit 1; }
	for os in linux windows darwin; do GOOS=$$os go vet ./... || exit 1; done
	$(TOOL) staticcheck ./...
	for module in $(MODULES); do go -C $$module mod tidy -diff || exit 1; done
	@.ci/vulnerabilities $(TOOL) govulncheck

# An old or missing Go gets a sentence here instead of a compiler's error later.
go:
	@.ci/need-go
