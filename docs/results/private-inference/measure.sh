#!/usr/bin/env bash
# Every number of docs/results/private-inference.md: two parties of a real engine (SPU 0.9.5; the peer's program installs it)
# compute networks of three widths at five budgets, and bytes are counted; and trained networks answer 64 images.
#
#     bash measure.sh DATA REPOSITORY
#
# DATA has CIFAR-10's binary files; `rlnet` is in the PATH. Writes into the current folder.
set -euo pipefail
export RLNET_DATA=$1 OMP_NUM_THREADS=1
data=$1 repository=$2
suites="$repository/docs/results/private-inference"
rlnet run "$suites/bytes-small.toml" --out bytes --threads 1
mkdir -p plans cheetah
plans=()
for width in w8 w16 w32; do
  for budget in 1x 2x 5x 10x 20x; do
    rlnet export "bytes:$width-$budget" --format plan --branch single --out "plans/$width-$budget.json"
    plans+=("plans/$width-$budget.json")
  done
done
engine() {
  python3 "$repository/tests/peers/private_inference.py" "$@" --images "$data/cifar-10-batches-bin/test_batch.bin"
}
engine "${plans[@]}" --protocol semi2k --limit 1 --json semi2k.json
# Cheetah makes oblivious transfers in advance. Each network has a connection of its own and is measured twice; the
# measurement with fewer bytes has no refill.
for plan in "${plans[@]}"; do
  engine "$plan" --protocol cheetah --limit 1 --repeat 2 --json "cheetah/$(basename "$plan")"
done
# Where refills fall: several inferences on one connection, as the program prints them.
engine plans/w32-1x.json --protocol cheetah --limit 1 --repeat 6 | tee refills-w32.txt
engine plans/w8-1x.json --protocol cheetah --limit 1 --repeat 6 | tee refills-w8.txt
# The same masks as a selection after every ReLU.
for protocol in semi2k cheetah; do
  engine plans/w8-1x.json plans/w8-5x.json --protocol $protocol --limit 1 --mask select --json select-$protocol.json
done
measured=()
for file in semi2k.json cheetah/*.json select-semi2k.json select-cheetah.json; do measured+=(--measured "$file"); done
rlnet report bytes --out costs "${measured[@]}"

# Trained networks of the same size: what they send, and what they answer.
for net in teacher rlnet-5x; do
  rlnet run "$suites/deployed-sweep.toml" --out small --threads 1 --only "$net"
  rlnet export "small:$net" --format plan --branch clean --out "plans/trained-$net.json"
  engine "plans/trained-$net.json" --protocol cheetah --limit 1 --repeat 2 --json "trained-$net.json"
  rlnet model arithmetic "small:$net" --arithmetic fixed:frac=18,trunc=local --branch clean --limit 64 --threads 1
  engine "plans/trained-$net.json" --protocol semi2k --limit 64 --batch 21 --json "answers-$net.json"
done
