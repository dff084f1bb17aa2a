#!/usr/bin/env bash
# The second training of docs/results/deployed.md: trained networks in rings of several sizes and with approximate signs,
# clean, corrupted and attacked.
#
#     bash deployed.sh DATA REPOSITORY teacher [rlnet-5x ...]
#
# DATA has CIFAR-10's binary files; the networks are those of deployed-sweep.toml; `rlnet` is in the PATH. Writes into the
# current folder.
set -euo pipefail
export RLNET_DATA=$1 OMP_NUM_THREADS=1
repository=$2
shift 2
for net in "$@"; do
  rlnet run "$repository/docs/results/private-inference/deployed-sweep.toml" --out small --threads 1 --only "$net"

  # Which ring is wide enough: 1,000 test images.
  mkdir -p widths
  for branch in clean adversarial; do
    rlnet model arithmetic "small:$net" --arithmetic fixed:frac=18 --branch $branch --limit 1000 --threads 1 > "widths/$net-$branch.txt"
  done

  # Which bits a sign needs: 1,000 clean test images, through both branches.
  ask=(--dataset cifar10 --limit 1000 --threads 1)
  rlnet eval "small:$net" "${ask[@]}" --name "$net" --out "signs/$net"
  for relu in circa:k=12 circa:k=14 circa:k=16 circa:k=18 hummingbird:12..23 hummingbird:14..22 hummingbird:16..22 hummingbird:12..21; do
    rlnet eval "small:$net" "${ask[@]}" --arithmetic "fixed:relu=$relu" --out "signs/$net-$relu"
  done

  # What an attacker gains: 200 test images, adversarial branch.
  ask=(--dataset cifar10 --limit 200 --branch adversarial --threads 1 --discard-images
    --corruptions gaussian_noise,contrast,jpeg_compression --severity 3 --attack pgd:steps=10)
  rlnet eval "small:$net" "${ask[@]}" --name "$net" --out "float/$net"
  for arithmetic in bits=38 bits=39 bits=40 bits=41 bits=64,trunc=local relu=circa:k=12 relu=circa:k=16 relu=hummingbird:12..23 relu=hummingbird:4..24; do
    rlnet eval "small:$net" "${ask[@]}" --surrogate "float=small:$net" --attack pgd:steps=10,surrogate=float --attack overflow:steps=10 \
      --arithmetic "fixed:$arithmetic" --out "ring/$net-$arithmetic"
  done
done
rlnet report signs/* --out signs-joint      # table deployed
rlnet report float/* ring/* --out joint     # table deployed, figure rings
