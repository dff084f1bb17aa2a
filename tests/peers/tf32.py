#!/usr/bin/env python3
"""What TF32 would do to a TorchScript model's logits, shown on a CPU.

    python3 tests/peers/tf32.py MODEL.pt LOGITS.npy FOLDER_WITH_test_batch.bin

Tensor cores read both factors of a product with 10 bits of mantissa when TF32 is on, and add in single
precision. Here the inputs and weights of every convolution are rounded so (to nearest, ties to even) and the
rest is left as it is. Prints how far the logits are from LOGITS.npy, computed as they are and rounded; the images
are the first of CIFAR-10's test batch, as many as LOGITS.npy has rows.

A model that is as far from its reference on a GPU as it is here ran with TF32 on, and nothing else need be
wrong with it. Installs PyTorch 2.11.0 in a virtual environment under the user's cache folder (--venv to choose;
3 GB to fetch).
"""

import argparse
import os
from pathlib import Path

from venv_of import inside_venv

PACKAGES = ["torch==2.11.0", "numpy"]
RECORD = 1 + 3 * 32 * 32

# TF32 keeps 10 of the 23 bits of a float's mantissa.
DROPPED = 13


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="TorchScript: images in [0, 1] in, logits out")
    parser.add_argument("logits", type=Path, help="its logits elsewhere, (N, classes)")
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary files")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "venv-tf32")
    return parser.parse_args()


def main():
    args = arguments()
    inside_venv(args.venv, PACKAGES)
    import numpy
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    def rounded(tensor):
        bits = tensor.contiguous().view(torch.int32)
        to_even = ((bits >> DROPPED) & 1) + (1 << (DROPPED - 1)) - 1
        return ((bits + to_even) & -(1 << DROPPED)).view(torch.float32)

    class Tf32(TorchDispatchMode):
        """Rounds what convolutions read, whoever calls them."""

        convolutions = 0

        def __torch_dispatch__(self, function, types, inputs=(), options=None):
            if "convolution" in function.overloadpacket.__name__:
                self.convolutions += 1
                inputs = (rounded(inputs[0]), rounded(inputs[1]), *inputs[2:])
            return function(*inputs, **(options or {}))

    want = torch.from_numpy(numpy.load(args.logits))
    records = numpy.fromfile(args.data / "test_batch.bin", dtype=numpy.uint8, count=len(want) * RECORD)
    pixels = records.reshape(-1, RECORD)[:, 1:].reshape(-1, 3, 32, 32)
    images = torch.from_numpy(pixels.astype(numpy.float32)) / 255
    model = torch.jit.load(args.model, map_location="cpu").eval()

    def away(logits):
        return (logits - want).abs().max().item()

    with torch.no_grad():
        print(f"{len(images)} images, logits up to {want.abs().max().item():.1f}")
        print(f"fp32: {away(model(images)):.2e} from {args.logits.name}")
        with Tf32() as mode:
            logits = model(images)
        print(f"TF32 in {mode.convolutions} convolutions: {away(logits):.2e}")


if __name__ == "__main__":
    main()
