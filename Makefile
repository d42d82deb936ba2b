# Everything a person needs to build, try and check rampwatch. Needs Rust, Node with npm, make, and for the tests Python.

CARGO ?= cargo
NPM ?= npm
KILLS ?= 100
FAULTS ?= 500
ROUNDS ?= 10
SECONDS ?= 60
SEEDS ?= 100000
ONLY ?=
PROGRAM ?=
RUNS ?= 3
# Where cargo puts what it builds.
BUILD := $(or $(CARGO_TARGET_DIR),target)
RAMPWATCH := $(BUILD)/release/rampwatch
BENCH_TOOLS := $(BUILD)/bench-tools
ANVIL := node_modules/@foundry-rs/anvil/package.json

.PHONY: help build demo test docs picture tools sandbox latency crash-test send-crash-test payout-crash-test campaign attacks simulate planted-bugs fuzz bench bench-tools token ci

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The debug information is kept in a file of its own beside the binary, where debuggers and backtraces find it.
build: ## the release binary, and its debug information in rampwatch.debug beside it
	$(CARGO) build --release --locked
	@if command -v objcopy > /dev/null; then \
	  objcopy --only-keep-debug $(RAMPWATCH) $(RAMPWATCH).debug && \
	  objcopy --strip-debug --add-gnu-debuglink=$(RAMPWATCH).debug $(RAMPWATCH) $(RAMPWATCH).stripped && \
	  mv $(RAMPWATCH).stripped $(RAMPWATCH); \
	else echo "objcopy is missing (package binutils): the binary keeps its debug information"; fi

demo: tools build ## the whole story on a chain node of its own, in under a minute
	$(abspath $(RAMPWATCH)) demo

# The doc tests come first, so that the last line is the summary of the many.
test: tools ## all tests
	.ci/bring-strace
	.ci/bring-schemathesis
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --bins --test it

docs: ## the pages of docs/ that are made of what the program says
	UPDATE_DOCS=1 $(CARGO) test --locked --test it -- reference:: policy::drawings

picture: tools build ## the picture of the demo in the README
	$(abspath $(RAMPWATCH)) demo | .ci/picture > docs/demo.svg

tools: $(ANVIL) ## anvil, the chain node of the sandbox, and the Solidity compiler

# The platform's package holds the node's binary; no install script is needed.
$(ANVIL): package-lock.json
	@command -v $(NPM) > /dev/null || { echo "npm is missing: install Node.js 20 or newer, with npm" >&2; exit 1; }
	$(NPM) ci --ignore-scripts
	@touch $(ANVIL)

sandbox: tools build ## a chain and a payment API to play with, until Ctrl-C
	$(abspath $(RAMPWATCH)) sandbox

# The harness is built as the other tests are; what is measured and killed is the release binary.
latency: tools build ## from final at the node to /complete received; two and a half minutes
	$(CARGO) test --locked --test latency -- --program $(RAMPWATCH)

crash-test: tools build ## kill -9 under load: make crash-test KILLS=100
	$(CARGO) test --locked --test crash_test -- --program $(RAMPWATCH) --kills $(KILLS)

# Under ten minutes on four cores.
send-crash-test: tools build ## dies at each step of a send, then kill -9 under load: make send-crash-test KILLS=100
	$(CARGO) test --locked --test crash_test -- send --program $(RAMPWATCH) --kills $(KILLS)

# Each round draws its own moments, and says how to draw them again; about half a minute a round.
payout-crash-test: tools ## payouts by command, all killed at random moments: make payout-crash-test ROUNDS=10
	for round in $$(seq $(ROUNDS)); do \
	  $(CARGO) test --locked --test it payout_commands::deaths -- --nocapture || exit 1; \
	done

# About a second for each fault, and half a minute. FAULTS=30 is in CI, which says BUILT=1: the release binary is there, built
# with the simulation, whose tests want other features of some dependencies, so that all would be built anew.
campaign: tools $(if $(BUILT),,build) ## the release binary killed, frozen, cut off and lied to in the middle of its work: make campaign FAULTS=500
	$(CARGO) test --locked --test crash_test -- campaign --program $(RAMPWATCH) --faults $(FAULTS)

# Three minutes; the worlds mostly wait. An older binary runs without the settings that it does not know. ONLY=F3 is one
# finding, ONLY='F3 poison' one row of it. BUILT as above.
attacks: $(if $(PROGRAM)$(BUILT),,build) ## what reviewers did to the binary, done to it again: make attacks ONLY=F1 PROGRAM=older/rampwatch
	$(CARGO) test --locked --test attacks -- --program $(if $(PROGRAM),'$(PROGRAM)' --older,$(RAMPWATCH)) $(if $(ONLY),--only '$(ONLY)')

# Single steps first, then the program beside the load source; the table is kept as bench.md where cargo builds. One part alone:
# make bench ONLY=live (micro, backfill, live, states, idle, million, burst, store). Under twelve minutes once it is built.
bench: build bench-tools ## how fast it is, as a table: make bench ONLY=backfill RUNS=3
ifneq ($(filter micro,$(or $(ONLY),micro)),)
	$(CARGO) bench --locked --bench micro -- --quiet --noplot
endif
	$(CARGO) bench --locked --bench end_to_end -- --program $(RAMPWATCH) --runs $(RUNS) --out $(BUILD)/bench.md $(if $(ONLY),--only $(ONLY))

bench-tools: ## the load source and the baseline of `make bench`
	$(CARGO) build --release --locked --manifest-path benches/load/Cargo.toml --target-dir $(BENCH_TOOLS)

# Built as the released program is. A few thousand seeds a minute on four cores.
simulate: ## the engine in simulated worlds where everything fails: make simulate SEEDS=100000
	$(CARGO) test --release --locked --test simulate -- --seeds $(SEEDS)

# One after the other on every core; a bug that 400 seeds do not find fails it. Two or three minutes once it is built.
planted-bugs: ## bugs that the simulation must find, planted one at a time; the table bug, seed that found it
	$(CARGO) test --release --locked --features planted-bugs --test simulate

# Follows the branches that are taken; `make test` has the same targets with what chance makes of the examples.
fuzz: ## everything that reads strangers' bytes: make fuzz SECONDS=60, for each target
	.ci/fuzz $(SECONDS)

token: tools ## compiles the sandbox's contracts anew
	node src/sandbox/token/compile.mjs

ci: ## everything that is checked before a change lands
	.ci/run
