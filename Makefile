# What is done often. `make check` is what a change must pass; .ci/run calls it too.

.PHONY: check test race fuzz cover docs site temporal-e2e

# All that a change must pass: every module, with the race detector, the linters and the coverage.
check:
	bash .ci/run

test:
	go test work

race:
	go test -race work

# Looks for programs on which the loop and the reference model disagree. FUZZTIME is for each fuzz test of the root.
FUZZTIME ?= 60s
fuzz:
	@set -e; for f in $$(go test -list '^Fuzz' . | grep '^Fuzz'); do \
		go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) .; \
	done

cover:
	go test -coverprofile=cover.out .
	go tool cover -func=cover.out

# Brings the code and the output in the documents up to date with the examples.
docs:
	go test -run TestDocuments -update-docs .

# Makes a web site of the documents in site-out, to be read from there.
site:
	go run ./docs/site

# Tests tinyiotemporal on a server of Temporal, with kill -9 of workers and of the server. It builds the server, which takes some minutes the
# first time, unless TEMPORAL_CLI is the path of one.
TEMPORAL_CLI ?= $(CURDIR)/.bin/temporal
temporal-e2e: $(TEMPORAL_CLI)
	cd tinyiotemporal && GOWORK=off TEMPORAL_CLI=$(TEMPORAL_CLI) go test -race -count=1 -timeout 30m -v -run 'Server|Orders' ./...
	cd bench/durable && GOWORK=off TEMPORAL_CLI=$(TEMPORAL_CLI) go test -count=1 -v -run 'TestPeers/Temporal' .

$(CURDIR)/.bin/temporal:
	GOWORK=off GOBIN=$(CURDIR)/.bin go install github.com/temporalio/cli/cmd/temporal@v1.5.1
