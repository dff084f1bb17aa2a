#!/usr/bin/env bash
# Every number of docs/results/private-inference.md: two parties of a real engine (SPU 0.9.5; the peer's program installs it)
# compute networks of three widths at five budgets, and bytes are counted.
#
#     bash measure.sh DATA REPOSITORY
#
# DATA has CIFAR-10's binary files; `rlnet` is in the PATH. Writes into the current folder.
set -euo pipefail
data=$1 repository=$2
rlnet run "$repository/docs/results/private-inference/bytes-small.toml" --data-dir "$data" --out bytes --threads 1
mkdir -p plans
plans=()
for width in w8 w16 w32; do
  for budget in 1x 2x 5x 10x 20x; do
    rlnet export "bytes:$width-$budget" --format plan --branch single --out "plans/$width-$budget.json"
    plans+=("plans/$width-$budget.json")
  done
done
engine() {
  python3 "$repository/tests/peers/private_inference.py" "$@" --images "$data/cifar-10-batches-bin/test_batch.bin" --limit 1
}
for protocol in semi2k cheetah; do
  engine "${plans[@]}" --protocol $protocol --json $protocol.json
  # The same masks as a selection after every ReLU.
  engine plans/w8-1x.json plans/w8-5x.json --protocol $protocol --mask select --json select-$protocol.json
done
rlnet report bytes --out costs --measured semi2k.json --measured cheetah.json --measured select-semi2k.json --measured select-cheetah.json
