#!/usr/bin/env python3
"""Minimum-norm attacks by their authors' codes, so that last bits do not decide: short runs, and long ones in double precision.

    python3 tests/peers/minimum_norm.py FOLDER_WITH_test_batch.bin MODEL.pt ... [--save tests/fixtures/minimum_norm.json]

Installs PyTorch 2.11.0 and adv-lib 0.2.8 in a virtual environment under the user's cache folder (--venv to
choose; 3 GB to fetch) and runs its PDGD, PDPGD and ALMA on the first 64 images of CIFAR-10's test batch, all at once and
16 at a time. The distances ought to be the same twice. They are for some tens of steps at least; then the momentum multiplies the
last bits in which a batch of 16 differs from one of 64, as it does those of another processor. --full runs as
many steps as the attacks do by default, which shows how far: hardly any distance is the same then.
In double precision last bits are a billion times smaller: there whole runs of PDGD and PDPGD are the same twice, and of the others
many more steps (first 16 images, all at once and 4 at a time; C&W in Linf, 100 steps a search, one at a time and 4).
--save writes the distances of the short runs in which all are the same twice, and those in double precision
(under "double" and "double parts"); `cargo test -p rlnet --test oracles minimum_norm` compares with them.
"""

import argparse
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import cifar10
from venv_of import inside_venv

PACKAGES = ["torch==2.11.0", "torchvision", "numpy", "tqdm"]
AUTHORS = "adv-lib==0.2.8"
IMAGES, STEPS, DOUBLE_IMAGES = 64, (25, 50, 100), 16
# Name here, the order of its norm, its default steps.
ATTACKS = [("pdgd", 2, 500), ("pdpgd:norm=l2", 2, 500), ("pdpgd:norm=l1", 1, 500), ("pdpgd:norm=linf", float("inf"), 500),
           ("alma", 2, 1000), ("alma:norm=l1,first_distance=0.5", 1, 1000)]
# In double precision: whole runs where those are the same twice, else as many steps as are. (The growth of last bits in ALMA and
# sigma-zero is exponential: double precision only puts off when they decide.)
DOUBLE = [*ATTACKS[:4], ("alma:steps=100", 2, 100), ("alma:norm=l1,first_distance=0.5,steps=200", 1, 200),
          ("sigma-zero:steps=100", 0, 100), ("cw-linf:steps=100", float("inf"), 100)]


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary version")
    parser.add_argument("models", type=Path, nargs="+", help="TorchScript: images in [0, 1] in, logits out")
    parser.add_argument("--full", action="store_true", help="the default numbers of steps too")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write the distances of the short runs")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-minimum-norm")
    return parser.parse_args()


def distances(model, images, labels, attack, order, steps, batch):
    """Of every image to its nearest adversarial; 0 where the clean image is wrong or nothing was found."""
    import torch
    from adv_lib.attacks import alma, carlini_wagner_linf, pdgd, pdpgd, sigma_zero

    def run(x, y):
        if attack.startswith("sigma-zero"):
            return sigma_zero(model, x, y, num_steps=steps)
        if attack.startswith("cw-linf"):
            return carlini_wagner_linf(model, x, y, max_iterations=steps)
        if attack.startswith("alma"):
            first = {"init_lr_distance": 0.5} if "first_distance" in attack else {}
            return alma(model, x, y, distance=f"l{order}", num_steps=steps, **first)
        if attack.startswith("pdpgd"):
            return pdpgd(model, x, y, norm=order, num_steps=steps)
        return pdgd(model, x, y, num_steps=steps)

    torch.manual_seed(0)
    made = torch.cat([run(x, y) for x, y in zip(images.split(batch), labels.split(batch))])
    return (made - images).flatten(1).norm(p=order, dim=1)


def in_double_precision(path, images, labels):
    """The distances of long runs in double precision, all images at once and 4 at a time, by attack."""
    import torch

    # ALMA's code names torch.float where it means the images' type.
    single, torch.float = torch.float, torch.float64
    torch.set_default_dtype(torch.float64)
    model = torch.jit.load(path).eval().double()
    images, labels = images[:DOUBLE_IMAGES].double(), labels[:DOUBLE_IMAGES]
    saved = {}
    for attack, order, steps in DOUBLE:
        # C&W's code ends a search when all images of the batch are done: one at a time each has its own end.
        whole = 1 if attack.startswith("cw-linf") else DOUBLE_IMAGES
        for kind, batch in (("double", whole), ("double parts", 4)):
            found = distances(model, images, labels, attack, order, steps, batch)
            saved[f"{kind} {path.stem} {attack}"] = [float(f"{value:.10g}") for value in found]
        one, parts = (torch.tensor(saved[f"{kind} {path.stem} {attack}"]) for kind in ("double", "double parts"))
        apart = (one[one > 0] / parts[one > 0] - 1).abs()
        print(f"| {path.stem}, {attack}, double precision | {steps} | {len(apart)} | {int((apart < 1e-4).sum())} "
              f"| {int((apart < 0.02).sum())} | {one[one > 0].median():.4f} | {parts[one > 0].median():.4f} |", flush=True)
    torch.set_default_dtype(single)
    torch.float = single
    return saved


def main():
    options = arguments()
    inside_venv(options.venv, PACKAGES)
    # Without visdom, which draws its curves: today's setuptools do not build it.
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", AUTHORS], check=True)
    sys.modules["visdom"] = types.SimpleNamespace(Visdom=None)
    import torch

    torch.set_num_threads(1)
    images, labels = cifar10.first(options.data, IMAGES)
    saved = {}
    print("| model, attack | steps | found | equal within 1e-4 | within 2 % | median, 64 at once | 16 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for path in options.models:
        model = torch.jit.load(path).eval()
        for attack, order, default in ATTACKS:
            for steps in (*STEPS, *([default] if options.full else [])):
                whole, parts = (distances(model, images, labels, attack, order, steps, batch) for batch in (IMAGES, 16))
                found = whole > 0
                apart = (whole[found] / parts[found] - 1).abs()
                print(f"| {path.stem}, {attack} | {steps} | {int(found.sum())} | {int((apart < 1e-4).sum())} "
                      f"| {int((apart < 0.02).sum())} | {whole[found].median():.4f} | {parts[found].median():.4f} |", flush=True)
                if steps in STEPS and bool((apart < 1e-4).all()):
                    parameters = f"{attack}{',' if ':' in attack else ':'}steps={steps}"
                    saved[f"{path.stem} {parameters}"] = [float(f"{value:.7g}") for value in whole]
        saved |= in_double_precision(path, images, labels)
    if options.save:
        rows = (f"{json.dumps(key)}: {json.dumps(row)}" for key, row in saved.items())
        options.save.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
