#!/usr/bin/env python3
"""PGD-20 through the server against the same model as TorchScript: processor seconds an attacked image, and their ratio.

    $(python3 tests/peers/python_env.py) tests/peers/served_overhead.py [--arch resnet18] [--images 240] [--rounds 3]

Run with the Python that has PyTorch and torchvision; needs a built program (target/debug/rlnet, or --program). One thread,
32x32 images drawn by the program. Each round evaluates few images and many, served and as TorchScript in turn; the
difference is the cost of the images without that of starting, and the median round counts. Processor seconds of the
program and its server together: other work on the machine does not count in them.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seconds(program, model, folder, images):
    """Processor seconds of a fresh evaluation, those of its server included, and the images that were attacked."""
    command = [program, "eval", model, "--name", "net", "--dataset", "shapes", "--limit", str(images), "--threads", "1",
               "--attack", "pgd:steps=20", "--discard-images", "--out", folder]
    environment = {**os.environ, "RLNET_PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet18", help="a model of torchvision")
    parser.add_argument("--images", type=int, default=240, help="test images of the larger evaluation")
    parser.add_argument("--few", type=int, default=40, help="and of the smaller one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "debug" / "rlnet")
    options = parser.parse_args()
    import torch
    import torchvision

    code = f"import torch, torchvision\n\n\ndef make():\n    torch.manual_seed(0)\n    return torchvision.models.{options.arch}(num_classes=10)\n"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "net.py").write_text(code)
        torch.manual_seed(0)
        network = getattr(torchvision.models, options.arch)(num_classes=10).eval()
        torch.jit.trace(network, torch.rand(2, 3, 32, 32)).save(folder / "net.pt")
        models = {"TorchScript": str(folder / "net.pt"), "served": f"python:{folder / 'net.py'}:make"}
        ratios = []
        for turn in range(options.rounds):
            taken = {}
            for name, model in models.items():
                few, many = (seconds(options.program, model, folder / f"{name}-{turn}-{images}", images)
                             for images in [options.few, options.images])
                taken[name] = many - few
            ratios.append(taken["served"] / taken["TorchScript"])
            print(f"round {turn + 1}: TorchScript {taken['TorchScript']:.2f} s, served {taken['served']:.2f} s, "
                  f"ratio {ratios[-1]:.3f}", flush=True)
    print(f"{options.arch}, {options.images - options.few} images, processor seconds: median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
