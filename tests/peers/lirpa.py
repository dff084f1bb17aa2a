#!/usr/bin/env python3
"""Bounds of three networks by auto_LiRPA, the library of the authors of CROWN, for the tests of `harness/src/certify`.

    python3 tests/peers/lirpa.py FOLDER_OF_THE_VERIFICATION_NETWORKS FOLDER_WITH_test_batch.bin >FILE.json

harness/tests/fixtures/lirpa.json is such a file. The images are the first of CIFAR-10's test set that each network has
right, squeezed to [0.25, 0.75] so that no ball leaves [0, 1] (auto_LiRPA does not cut L2 balls). Everything is computed
in double precision. auto-lirpa 0.3 needs PyTorch 1.11 and Python 3.10 or older (--python to choose one); both go into a
virtual environment under the user's cache folder (2 GB). Takes a minute of one core.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = ["torch==1.11.0", "numpy<1.24", "appdirs", "pyyaml", "packaging", "tqdm", "sortedcontainers", "graphviz"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rlnet" / "peers-lirpa"
IMAGES = 2
BALLS = [("linf", 1 / 255), ("linf", 4 / 255), ("l2", 0.1), ("l2", 0.4)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--python", default="python3.10")
    return parser.parse_args()


def enter(options):
    """Runs the program again in its own environment."""
    python = CACHE / "bin" / "python"
    if Path(sys.prefix).resolve() == CACHE.resolve():
        return
    if not (CACHE / "ready").exists():
        subprocess.run([options.python, "-m", "venv", str(CACHE)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "auto-lirpa==0.3"], check=True)
        (CACHE / "ready").touch()
    os.execv(python, [str(python), *sys.argv])


def weights(path):
    """The tensors of a TorchScript file, whose format PyTorch 1.11 may be too old for."""
    import numpy as np
    import torch

    archive = zipfile.ZipFile(path)
    root = archive.namelist()[0].split("/")[0]

    class Module:
        def __setstate__(self, state):
            self.__dict__.update(state)

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if module.startswith("__torch__"):
                return Module
            return {"_rebuild_tensor_v2": rebuild, "OrderedDict": dict, "FloatStorage": None}[name]

        def persistent_load(self, key):
            return np.frombuffer(archive.read(f"{root}/data/{key[2]}"), np.float32)

    def rebuild(storage, offset, shape, strides, *_):
        strided = np.lib.stride_tricks.as_strided(storage[offset:], shape, [4 * stride for stride in strides])
        return torch.from_numpy(strided.copy()).double()

    return Reader(archive.open(f"{root}/data.pkl")).load().__dict__


def networks(folder):
    """The three networks, written by hand around their weights."""
    import torch
    from torch import nn

    def conv(w, weight, bias, stride, padding):
        weight, bias = w[weight], w[bias]
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding)
        layer.weight.data, layer.bias.data = weight, bias
        return layer

    def linear(weight, bias):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data, layer.bias.data = weight, bias
        return layer

    def normed(w):
        scale = 1 / w["std"].flatten()
        layer = nn.Conv2d(3, 3, 1)
        layer.weight.data, layer.bias.data = torch.diag(scale).reshape(3, 3, 1, 1), -w["mean"].flatten() * scale
        return layer

    class Residual(nn.Module):
        def __init__(self, w):
            super().__init__()
            self.normed = normed(w)
            self.convs = nn.ModuleList(conv(w, f"p{2 * i}", f"p{2 * i + 1}", stride, padding) for i, (stride, padding) in
                                       enumerate([(2, 1), (2, 1), (1, 1), (2, 0), (1, 1), (1, 1)]))
            self.first, self.last = linear(w["p12"], w["p13"]), linear(w["p14"], w["p15"])

        def forward(self, x):
            c = self.convs
            r = torch.relu(c[0](self.normed(x)))
            r = torch.relu(c[2](torch.relu(c[1](r))) + c[3](r))
            r = torch.relu(c[5](torch.relu(c[4](r))) + r)
            return self.last(torch.relu(self.first(torch.flatten(r, 1))))

    class ChannelsLast(nn.Module):
        def forward(self, x):
            return torch.flatten(x.permute(0, 2, 3, 1), 1)

    w = weights(folder / "resnet_2b.pt")
    yield "resnet_2b", Residual(w)
    w = weights(folder / "cifar_base_kw.pt")
    yield "cifar_base_kw", nn.Sequential(
        normed(w), conv(w, "p1", "p0", 2, 1), nn.ReLU(), conv(w, "p3", "p2", 2, 1), nn.ReLU(), nn.Flatten(),
        linear(w["p5"], w["p4"]), nn.ReLU(), linear(w["p7"], w["p6"]))
    w = weights(folder / "cifar10_small.pt")
    yield "cifar10_small", nn.Sequential(
        conv(w, "p8", "p9", 2, 0), nn.ReLU(), conv(w, "p6", "p7", 2, 0), nn.ReLU(), ChannelsLast(),
        linear(w["p4"].T, w["p5"]), nn.ReLU(), linear(w["p2"].T, w["p3"]), nn.ReLU(), linear(w["p0"].T, w["p1"]))


def main():
    options = arguments()
    enter(options)
    import numpy as np
    import torch
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    records = np.frombuffer((options.data / "test_batch.bin").read_bytes(), np.uint8).reshape(-1, 3073)[:50]
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255).double() * 0.5 + 0.25
    found = []
    for name, network in networks(options.networks):
        network = network.double().eval()
        with torch.no_grad():
            right = network(images).argmax(1).numpy() == records[:, 0]
        for place in np.flatnonzero(right)[:IMAGES]:
            image, label = images[place:place + 1], int(records[place, 0])
            bounded = BoundedModule(network, image, bound_opts={"conv_mode": "matrix"})
            margins = torch.eye(10).double()[label] - torch.eye(10).double()[[c for c in range(10) if c != label]]
            for norm, eps in BALLS:
                ball = PerturbationLpNorm(norm=float("inf") if norm == "linf" else 2, eps=eps)
                methods = {"ibp": "IBP", "crown-ibp": "CROWN-IBP", "crown": "CROWN"}
                bounds = {}
                for ours, theirs in methods.items():
                    with torch.no_grad():
                        lower, _ = bounded.compute_bounds(x=(BoundedTensor(image, ball),), method=theirs,
                                                          C=margins.unsqueeze(0), bound_upper=False)
                    bounds[ours] = lower[0].tolist()
                logits = network(image)[0].tolist()
                found.append({"net": name, "image": int(place), "label": label, "norm": norm, "eps": eps,
                              "logits": logits, **bounds})
    print("[\n" + ",\n".join(json.dumps(entry) for entry in found) + "\n]")


if __name__ == "__main__":
    main()
