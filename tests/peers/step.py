#!/usr/bin/env python3
"""Our training step and PGD-20 against the same in eager PyTorch: images a second, in one run.

    python3 tests/peers/step.py [--device cuda|cpu] [--batch 128] [--steps 30] [--example PATH]

The PyTorch side is the step as such code is usually written: ResNet18 with two banks of batch norm,
PGD-7 on half of the batch through the adversarial bank in eval mode with `loss.backward()`, then the
clean, the second clean view and the adversarial pass, SGD. In plain fp32 (TF32 off), and with
PyTorch's default (TF32 convolutions). Its images are on the device already: it pays for no
augmentation, ours does. Needs a Python with torch (2.11) and, for our side, the example built with
`cargo build -p rlnet --example step` or given by --example.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parents[2]


class Norm(nn.Module):
    """One batch norm a branch."""

    def __init__(self, channels):
        super().__init__()
        self.banks = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x, branch):
        return self.banks[branch](x)


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = Norm(after), Norm(after)
        self.short = nn.Conv2d(before, after, 1, stride, bias=False) if stride > 1 or before != after else None
        self.norm3 = Norm(after) if self.short else None

    def forward(self, x, branch):
        y = F.relu(self.norm1(self.conv1(x), branch))
        y = self.norm2(self.conv2(y), branch)
        return F.relu(y + (self.norm3(self.short(x), branch) if self.short else x))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 64, 3, 1, 1, bias=False), Norm(64)
        shapes = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        blocks = [block for a, b, s in shapes for block in (Block(a, b, s), Block(b, b, 1))]
        self.blocks, self.head = nn.ModuleList(blocks), nn.Linear(512, 10)

    def forward(self, x, branch):
        x = F.relu(self.norm(self.conv((x - 0.5) / 0.25), branch))
        for block in self.blocks:
            x = block(x, branch)
        return self.head(x.mean((2, 3)))


def pgd(model, x, y, steps, eps=8 / 255, alpha=2 / 255):
    model.eval()
    adv = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        adv = adv.detach().requires_grad_()
        F.cross_entropy(model(adv, 1), y).backward()
        adv = x + (adv.detach() + alpha * adv.grad.sign() - x).clamp(-eps, eps)
        adv = adv.clamp(0, 1)
    return adv.detach()


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def teacher_rate(device, batch, steps):
    model = ResNet18().to(device)
    sgd = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4)
    half = batch // 2
    x = torch.rand(batch, 3, 32, 32, device=device)
    mixed = torch.rand(half, 3, 32, 32, device=device)
    y = torch.randint(10, (batch,), device=device)
    for step in range(steps + 5):
        if step == 5:
            wait(device)
            started = time.perf_counter()
        adv = pgd(model, x[half:], y[half:], 7)
        model.train()
        sgd.zero_grad()
        passes = [(x[:half], y[:half], 0), (mixed, y[:half], 0), (adv, y[half:], 1)]
        loss = sum(F.cross_entropy(model(images, branch), labels) for images, labels, branch in passes) / 3
        loss.backward()
        sgd.step()
    wait(device)
    return steps * batch / (time.perf_counter() - started)


def evaluation_rate(device):
    n = 1000 if device == "cuda" else 64
    model = ResNet18().to(device)
    x, y = torch.rand(n, 3, 32, 32, device=device), torch.randint(10, (n,), device=device)
    for _ in range(2):
        started = time.perf_counter()
        pgd(model, x, y, 20)
        wait(device)
    return n / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--example", type=Path, default=ROOT / "target/debug/examples/step")
    options = parser.parse_args()
    theirs = {}
    for name, tf32 in (("fp32", False), ("tf32", True)):
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        theirs["teacher step", name] = teacher_rate(options.device, options.batch, options.steps)
        torch.backends.cudnn.benchmark = False
        theirs["PGD-20 evaluation", name] = evaluation_rate(options.device)
    command = [options.example.resolve(), options.device, "resnet18", str(options.batch), str(options.steps)]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if options.device == 'cuda' else 'CPU'}")
    for (what, name), rate in theirs.items():
        print(f"{'PyTorch eager, ' + what + ', ' + name:45} {rate:10.0f} images/s")
    for line in lines:
        what, value, unit = line.split("\t")
        plain = theirs.get((what.split(",")[0], "fp32"))
        ratio = f"{float(value) / plain:8.2f} x plain fp32" if plain and unit == "images/s" else ""
        print(f"{'ours, ' + what:45} {float(value):10.0f} {unit} {ratio}")


if __name__ == "__main__":
    sys.exit(main())
