# Everything a person needs to build, try and check rampwatch. Needs Rust, Node with npm, make, and for the tests Python.

CARGO ?= cargo
NPM ?= npm
KILLS ?= 100
ROUNDS ?= 10
SEEDS ?= 100000
ANVIL := node_modules/@foundry-rs/anvil/package.json

.PHONY: build demo test tools sandbox latency crash-test send-crash-test payout-crash-test simulate token ci

build: ## the release binary
	$(CARGO) build --release --locked

demo: tools build ## the whole story on a chain node of its own, in under a minute
	./target/release/rampwatch demo

# The doc tests come first, so that the last line is the summary of the many.
test: tools ## all tests
	.ci/bring-strace
	.ci/bring-schemathesis
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --bins --test it

tools: $(ANVIL) ## anvil, the chain node of the sandbox, and the Solidity compiler

# The platform's package holds the node's binary; no install script is needed.
$(ANVIL): package-lock.json
	$(NPM) ci --ignore-scripts
	@touch $(ANVIL)

sandbox: tools build ## a chain and a payment API to play with, until Ctrl-C
	./target/release/rampwatch sandbox

# The harness is built as the other tests are; what is measured and killed is the release binary.
latency: tools build ## from final at the node to /complete received; two and a half minutes
	$(CARGO) test --locked --test latency -- --program target/release/rampwatch

crash-test: tools build ## kill -9 under load: make crash-test KILLS=100
	$(CARGO) test --locked --test crash_test -- --program target/release/rampwatch --kills $(KILLS)

# Under ten minutes on four cores.
send-crash-test: tools build ## dies at each step of a send, then kill -9 under load: make send-crash-test KILLS=100
	$(CARGO) test --locked --test crash_test -- send --program target/release/rampwatch --kills $(KILLS)

# Each round draws its own moments, and says how to draw them again; about half a minute a round.
payout-crash-test: tools ## payouts by command, all killed at random moments: make payout-crash-test ROUNDS=10
	for round in $$(seq $(ROUNDS)); do \
	  $(CARGO) test --locked --test it payout_commands::deaths -- --nocapture || exit 1; \
	done

# Built as the released program is. A few thousand seeds a minute on four cores.
simulate: ## the engine in simulated worlds where everything fails: make simulate SEEDS=100000
	$(CARGO) test --release --locked --test simulate -- --seeds $(SEEDS)

token: tools ## compiles the sandbox's contracts anew
	node src/sandbox/token/compile.mjs

ci: ## everything that is checked before a change lands
	.ci/run
