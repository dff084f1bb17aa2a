# Two commands do everything on a fresh machine: `make demo` and `make test`.
.PHONY: setup demo test python-env quick test-long soak lint deny sbom dist bench clean

# libtorch 2.11.0 into .libtorch/ (0.55 GB fetched on a CPU machine); does nothing when it is there.
setup:
	@python3 harness/setup/libtorch.py

# The whole story on the embedded data set, to a report; minutes on two cores.
demo: setup
	cargo build -p rlnet
	./target/debug/rlnet demo

# Every test: units, reference numbers, the program as a user runs it. A test that lacks what it needs is ignored, and
# says what; RLNET_REQUIRE=reference,images,slurm,browser,torch,s3,mount,cuda (or some of them) makes it fail instead.
# One thread a test: they run side by side.
test: export TMPDIR = $(shell python3 harness/setup/scratch.py)
test: export OMP_NUM_THREADS ?= 1
test: setup
	cargo test --workspace

# A Python with PyTorch for the tests that need one (2.7 GB fetched, once, into the user's cache folder).
python-env:
	@python3 tests/peers/python_env.py

# Format, lints and tests of what changed since main.
quick: setup
	@python3 harness/setup/quick.py

# The reference numbers that take minutes each: AutoAttack as a whole, Square, FAB; and models of JAX and an older PyTorch.
test-long: setup
	cargo test -p rlnet --test oracles -- --ignored
	cargo test --workspace --test program private_inference -- --ignored
	cargo test --workspace --test program a_complete_verifier -- --ignored
	@python3 tests/peers/python_env.py torch torch-old jax
	cargo test --workspace --test program -- --ignored other_frameworks architectures_of_torchvision

# Two minutes of faults (docs/reliability.md); MINUTES=120 is the whole soak.
soak: setup
	cargo build --workspace
	@python3 tests/soak/soak.py --minutes $(or $(MINUTES),2)

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo check -p rlnet --no-default-features

# Licences, banned crates and sources of every dependency.
deny:
	@python3 harness/setup/supply_chain.py check

# What the program is built from.
sbom:
	@python3 harness/setup/supply_chain.py sbom out/sbom.json

# The release archive; the same program gives the same bytes.
dist: setup
	CARGO_INCREMENTAL=0 cargo build -p rlnet --locked
	@python3 harness/setup/portable.py dist out/dist

bench: setup
	cargo bench --workspace

clean:
	rm -rf target out
