# Two commands do everything on a fresh machine: `make demo` and `make test`.
.PHONY: setup demo test test-long lint bench clean

# libtorch 2.11.0 into .libtorch/ (0.55 GB fetched on a CPU machine); does nothing when it is there.
setup:
	@python3 harness/setup/libtorch.py

# The whole story on the embedded data set, to a report; minutes on two cores.
demo: setup
	cargo build -p rlnet
	./target/debug/rlnet demo

# Every test: units, reference numbers, the program as a user runs it.
test: setup
	cargo test --workspace

# The reference numbers that take minutes each: AutoAttack as a whole, Square, FAB.
test-long: setup
	cargo test --workspace -- --ignored

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: setup
	cargo bench --workspace

clean:
	rm -rf target out
