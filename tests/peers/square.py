#!/usr/bin/env python3
"""Square beside its authors' code, image by image, both on this machine.

    python3 tests/peers/square.py MODEL.pt FOLDER_WITH_test_batch.bin [--norm l2|linf|l1] [--expected FILE.json]

Installs PyTorch 2.11.0 and pyautoattack (AutoAttack by its authors) in a virtual environment under
the user's cache folder (--venv to choose; 3 GB to fetch) and runs Square with seed 0 in one batch:
their class on the images that MODEL classifies rightly, and `rlnet eval` with
`square:reference_rng=true`, which replays their random stream. Prints on how many images the verdicts
agree; fails below 99 %. MODEL is a TorchScript file, the images are the first of CIFAR-10's test batch.

The search compares losses to the last bit, and in L2 what it draws depends on how many images are
left. So it can be followed only where logits have the same bits: on one machine, with one libtorch.
--expected names a file of verdicts made elsewhere ({KEY: {"correct": [0, 1, ...]}}, --key to choose)
and compares both runs with it too, which shows how far another machine's bits lead the same code.
--save writes their verdicts, with a digest of the logits of the images as they are: a machine that
computes the same logits follows the same search (tests/fixtures/square_l2_standard.json is such a
file). Took three minutes of one core for 256 images in L2.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cifar10
from venv_of import inside_venv

PACKAGES = ["torch==2.11.0", "pyautoattack==0.2.0", "numpy", "pyarrow"]
ROOT = Path(__file__).resolve().parents[2]
RADIUS = {"l2": 0.5, "linf": 8 / 255, "l1": 12}


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="TorchScript: images in [0, 1] in, logits out")
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary version")
    parser.add_argument("--norm", choices=sorted(RADIUS), default="l2")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--expected", type=Path, help="verdicts made elsewhere")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write their verdicts")
    parser.add_argument("--key", help="their key (default: autoattack_individual_NORM_square)")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-square")
    return parser.parse_args()


def theirs(options):
    """Whether each image is right, clean and under the authors' Square."""
    import torch
    from pyautoattack.square import SquareAttack

    torch.set_num_threads(1)
    images, labels = cifar10.first(options.data, options.images)
    model = torch.jit.load(options.model).eval()
    with torch.no_grad():
        logits = model(images)
        clean = logits.argmax(1) == labels
        # The settings of AutoAttack's standard version.
        attack = SquareAttack(model, norm=options.norm.capitalize(), p_init=.8,
                              n_queries=options.queries, eps=RADIUS[options.norm], n_restarts=1, seed=0,
                              verbose=False, device=torch.device("cpu"), resc_schedule=False)
        made = attack.perturb(images[clean], labels[clean])
        right = clean.clone()
        right[clean] = model(made).argmax(1) == labels[clean]
    flags = [int(flag) for flag in right]
    if options.save:
        digest = hashlib.sha1(logits.numpy().tobytes()).hexdigest()
        options.save.write_text(json.dumps({"logits_sha1": digest, "correct": flags}) + "\n")
    return flags


def ours(options):
    """The same by `rlnet eval`."""
    import pyarrow.parquet as parquet

    attack = f"square:norm={options.norm},queries={options.queries},reference_rng=true"
    with tempfile.TemporaryDirectory() as folder:
        command = ["cargo", "run", "--quiet", "-p", "rlnet", "--", "eval", str(options.model.resolve()),
                   "--dataset", "cifar10", "--data-dir", str(options.data.resolve()), "--attack", attack,
                   "--limit", str(options.images), "--batch", str(options.images), "--seed", "0",
                   "--device", "cpu", "--threads", "1", "--out", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        right = [1] * options.images
        for file in Path(folder).glob("cells/*/outcomes.parquet"):
            # Clean and attacked: right when right under both.
            for row in parquet.read_table(file).to_pylist():
                right[row["image"]] *= int(row["prediction"] == row["label"])
    return right


def agreement(name, a, b):
    same = sum(x == y for x, y in zip(a, b))
    apart = [i for i, (x, y) in enumerate(zip(a, b)) if x != y]
    print(f"{name}: {same} of {len(a)} agree" + (f"; apart: {apart[:16]}" if apart else ""), flush=True)
    return same


def main():
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = "1"
    inside_venv(options.venv, PACKAGES)
    mine, reference = ours(options), theirs(options)
    share = [f"{100 * sum(flags) / len(flags):.2f} %" for flags in (mine, reference)]
    print(f"accuracy under Square, {options.norm}: {share[0]} ours, {share[1]} theirs")
    same = agreement("ours and theirs, both here", mine, reference)
    if options.expected:
        radius = {"l2": "l2_0.5", "linf": "linf_8", "l1": "l1_12"}[options.norm]
        key = options.key or f"autoattack_individual_{radius}_square"
        elsewhere = json.loads(options.expected.read_text())[key]["correct"][:options.images]
        agreement("ours here and theirs elsewhere", mine, elsewhere)
        agreement("theirs here and theirs elsewhere", reference, elsewhere)
    if same < 0.99 * options.images:
        sys.exit("below 99 %")


if __name__ == "__main__":
    main()
