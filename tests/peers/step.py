#!/usr/bin/env python3
"""How fast our training steps and PGD-20 are beside eager PyTorch's: images a second, taking turns.

    python3 tests/peers/step.py [--device cpu|cuda] [--batch N] [--steps N] [--threads N] [--rounds 3]

The PyTorch side is the step as such code is usually written: ResNet18 with two banks of batch norm, PGD-7 on half of
the batch through the adversarial bank in eval mode with `loss.backward()`, then the clean, the second clean view and
the adversarial pass, SGD. A student has a masked ReLU, `m * relu(x) + (1 - m) * x`, and an all-ReLU teacher whose
logits and maps of the stages it follows. Its images are on the device already: it pays for no augmentation, ours does.
In plain fp32 (TF32 off). Ours is `rlnet bench resnet18`. A line each: our images a second, PyTorch's (medians of the
rounds), and the ratio with its lowest and highest. Needs a Python with torch 2.11: `tests/peers/python_env.py` makes
one.
"""

import argparse
import json
import os
import statistics
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
    def __init__(self, before, after, stride, relu):
        super().__init__()
        self.relu1, self.relu2 = relu(), relu()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = Norm(after), Norm(after)
        self.short = nn.Conv2d(before, after, 1, stride, bias=False) if stride > 1 or before != after else None
        self.norm3 = Norm(after) if self.short else None

    def forward(self, x, branch):
        y = self.relu1(self.norm1(self.conv1(x), branch))
        y = self.norm2(self.conv2(y), branch)
        return self.relu2(y + (self.norm3(self.short(x), branch) if self.short else x))


class ResNet18(nn.Module):
    def __init__(self, relu):
        super().__init__()
        self.relu = relu()
        self.conv, self.norm = nn.Conv2d(3, 64, 3, 1, 1, bias=False), Norm(64)
        shapes = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        blocks = [block for a, b, s in shapes for block in (Block(a, b, s, relu), Block(b, b, 1, relu))]
        self.blocks, self.head = nn.ModuleList(blocks), nn.Linear(512, 10)

    def forward(self, x, branch):
        """Logits, and the outputs of the stages."""
        x = self.relu(self.norm(self.conv((x - 0.5) / 0.25), branch))
        stages = []
        for place, block in enumerate(self.blocks):
            x = block(x, branch)
            if place % 2:
                stages.append(x)
        return self.head(x.mean((2, 3))), stages


def pgd(model, x, y, steps, eps=8 / 255, alpha=2 / 255):
    model.eval()
    adv = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        adv = adv.detach().requires_grad_()
        F.cross_entropy(model(adv, 1)[0], y).backward()
        adv = x + (adv.detach() + alpha * adv.grad.sign() - x).clamp(-eps, eps)
        adv = adv.clamp(0, 1)
    return adv.detach()


class MaskedRelu(nn.Module):
    """One in eleven ReLUs of a layer, by lot; the rest are the identity."""

    def forward(self, x):
        if not hasattr(self, "mask"):
            self.mask = (torch.rand(x.shape[1:], device=x.device) < 1 / 11).float()
        return self.mask * F.relu(x) + (1 - self.mask) * x


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def timed(device, step, warm, steps, images):
    """Images a second of some steps after others that warm up."""
    for _ in range(warm):
        step()
    wait(device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait(device)
    return steps * images / (time.perf_counter() - started)


def training_rate(device, batch, steps, warm, student):
    model = ResNet18(MaskedRelu if student else nn.ReLU).to(device)
    teacher = ResNet18(nn.ReLU).to(device).eval() if student else None
    sgd = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4)
    half = batch // 2
    x = torch.rand(batch, 3, 32, 32, device=device)
    mixed = torch.rand(half, 3, 32, 32, device=device)
    y = torch.randint(10, (batch,), device=device)

    def followed(logits, stages, of, branch):
        """Distillation: the teacher's soft-max at temperature 4, and attention maps of its stages."""
        with torch.no_grad():
            wanted, maps = teacher(of, branch)
        loss = F.kl_div((logits / 4).log_softmax(1), (wanted / 4).softmax(1), reduction="batchmean") * 16
        attention = lambda maps: F.normalize(maps.pow(2).mean(1).flatten(1))
        return loss + 1000 * sum((attention(a) - attention(b)).pow(2).mean() for a, b in zip(stages, maps))

    def step():
        adv = pgd(model, x[half:], y[half:], 7)
        model.train()
        sgd.zero_grad()
        loss = 0
        for images, labels, branch in [(x[:half], y[:half], 0), (mixed, y[:half], 0), (adv, y[half:], 1)]:
            logits, stages = model(images, branch)
            loss = loss + F.cross_entropy(logits, labels) / 3
            if student:
                loss = loss + followed(logits, stages, images, branch) / 3
        loss.backward()
        sgd.step()

    return timed(device, step, warm, steps, batch)


def evaluation_rate(device, batch, relu):
    model = ResNet18(relu).to(device)
    x, y = torch.rand(batch, 3, 32, 32, device=device), torch.randint(10, (batch,), device=device)
    return timed(device, lambda: pgd(model, x, y, 20), 1, 2, batch)


PGD = "pgd:steps=20"
STUDENT = f"{PGD} on a student"


def bench(options, *more):
    command = [options.program, "bench", "resnet18", "--json", "--seconds", "0.01", "--device", options.device,
               "--batch", options.batch, "--steps", options.steps, "--threads", options.threads, "--attack", PGD, *more]
    output = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True).stdout
    return {rate["what"]: rate["value"] for rate in json.loads(output)["rates"]}


def ours(options):
    student = bench(options, "--only", "attacks", "--budget", "11x")
    return bench(options, "--only", "attacks,training") | {STUDENT: student[PGD]}


# Our figure, and theirs.
ROWS = {
    "teacher step, fp32": lambda o: training_rate(o.device, o.batch, o.steps, o.warm, False),
    "student step, fp32": lambda o: training_rate(o.device, o.batch, o.steps, o.warm, True),
    PGD: lambda o: evaluation_rate(o.device, o.batch, nn.ReLU),
    STUDENT: lambda o: evaluation_rate(o.device, o.batch, MaskedRelu),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="images of a step (default: 128 on a GPU, 32 on a CPU)")
    parser.add_argument("--steps", type=int, help="steps that are timed (default: 30 on a GPU, 2 on a CPU)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "debug" / "rlnet")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratios")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    options.batch = options.batch or (128 if cuda else 32)
    options.steps = options.steps or (30 if cuda else 2)
    options.warm = 5 if cuda else 1
    torch.set_num_threads(options.threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    rounds = []
    for _ in range(options.rounds):
        own = ours(options)
        rounds.append((own, {row: rate(options) for row, rate in ROWS.items()}))
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if cuda else 'CPU'}, {options.threads} threads, "
          f"batch {options.batch}")
    print("| what | ours, images/s | eager PyTorch, images/s | ours / eager |\n|---|---:|---:|---:|")
    found = {}
    for row in ROWS:
        pairs = [(own[row], other[row]) for own, other in rounds]
        ratios = sorted(own / other for own, other in pairs)
        medians = [statistics.median(column) for column in zip(*pairs)]
        found[f"{row}, eager PyTorch"] = ratios
        print(f"| {row} | {medians[0]:.1f} | {medians[1]:.1f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
    lower = {what: statistics.median(own[what] for own, _ in rounds) for what in rounds[0][0] if "bf16" in what or "tf32" in what}
    for what, rate in lower.items():
        print(f"| {what} | {rate:.1f} | | |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
