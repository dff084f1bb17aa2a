#!/usr/bin/env python3
"""PGD-20 through the server against the same model as TorchScript: seconds of the cell, and their ratio.

    $(python3 tests/peers/python_env.py) tests/peers/served_overhead.py [--arch resnet18] [--images 64] [--rounds 3]

Run with the Python that has PyTorch and torchvision; needs a built program (target/debug/rlnet, or --program). One thread,
32x32 images drawn by the program; the least of the rounds, taken in turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seconds(program, model, folder, images):
    """Seconds of the attack's cell of a fresh evaluation."""
    command = [program, "eval", model, "--name", "net", "--dataset", "shapes", "--limit", str(images), "--threads", "1",
               "--attack", "pgd:steps=20,keep=last", "--discard-images", "--out", folder]
    environment = {**os.environ, "RLNET_PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "python")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    plan = json.loads((folder / "plan.json").read_text())
    cell = next(cell for cell in plan["cells"] if "/pgd" in cell["name"])
    return json.loads((folder / "cells" / cell["id"] / "cell.json").read_text())["provenance"]["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet18", help="a model of torchvision")
    parser.add_argument("--images", type=int, default=640, help="test images; a tenth of them is attacked")
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
        least = dict.fromkeys(models, float("inf"))
        for turn in range(options.rounds):
            for name, model in models.items():
                taken = seconds(options.program, model, folder / f"{name}-{turn}", options.images)
                least[name] = min(least[name], taken)
    print(f"{options.arch}, {options.images} images, one thread: TorchScript {least['TorchScript']:.2f} s, "
          f"served {least['served']:.2f} s, ratio {least['served'] / least['TorchScript']:.3f}")


if __name__ == "__main__":
    main()
