#!/usr/bin/env python3
"""How the time of an evaluation grows: with images, attack steps, batch, classes, cells and threads.

    python3 tests/scaling/scaling.py [--program PATH] [--rounds 2] [--svg docs/scaling.svg]

Needs the Python of tests/peers/python_env.py (torch makes the models). Prints a row a size: wall seconds of the whole
command, the best of the rounds, and how many times as long the last doubling took: 2.0 or less is linear. Images are
noise, and labels are the models' own, so that no attack ends early. --svg draws the curves.
"""

import argparse
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]


def network(classes):
    """Of any number of classes, with the same first ten logits."""
    torch.manual_seed(0)
    head = nn.Linear(32, 1000)
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes)]
    with torch.no_grad():
        layers[-1].weight.copy_(head.weight[:classes])
        layers[-1].bias.copy_(head.bias[:classes])
    return nn.Sequential(*layers).eval()


def png(pixels):
    """A picture `[3, H, W]` of bytes as a PNG file."""
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in pixels.permute(1, 2, 0))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", pixels.shape[2], pixels.shape[1], 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def pictures(folder, model, images=4096):
    """A folder of noise, in a folder a class as the model says."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        labels = model(pixels.float() / 255).argmax(1).tolist()
    # No class may be empty.
    labels[:10] = range(10)
    for label in range(10):
        (folder / f"class{label}").mkdir(parents=True)
    for place, (picture, label) in enumerate(zip(pixels, labels)):
        (folder / f"class{label}" / f"{place}.png").write_bytes(png(picture))


def run(command):
    """A command that has to succeed, and says why where it does not."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


class Runs:
    """Evaluations in a folder of their own."""

    def __init__(self, program, folder, rounds):
        self.program, self.folder, self.rounds, self.count = program, folder, rounds, 0
        for classes in (10, 100, 1000):
            model = network(classes)
            torch.jit.script(model).save(str(self.model(classes)))
        pictures(folder / "data", network(10))

    def model(self, classes):
        return self.folder / f"classes{classes}.pt"

    def seconds(self, *more, classes=10, images=256, threads=1):
        """Of one command: the best of the rounds."""
        best = float("inf")
        for _ in range(self.rounds):
            self.count += 1
            out = self.folder / f"out{self.count}"
            command = [self.program, "eval", self.model(classes), "--dataset", f"imagefolder:{self.folder / 'data'}",
                       "--limit", images, "--threads", threads, "--discard-images", "--device", "cpu", "--out", out]
            if classes > 10:
                command += ["--logits", 10]
            command += more
            started = time.perf_counter()
            run([str(word) for word in command])
            best = min(best, time.perf_counter() - started)
            self.last = out
        return best


def attack(steps):
    return ["--attack", f"pgd:steps={steps},eps=1/255000,alpha=1/255000"]


def cells(count):
    return [word for k in range(count) for word in ("--attack", f"fgsm:eps={k + 1}/255000")]


# An axis: its sizes, and the evaluation at a size.
AXES = {
    "images": ([512, 1024, 2048, 4096], lambda runs, n: runs.seconds(*attack(20), images=n)),
    "steps": ([50, 100, 200, 400], lambda runs, n: runs.seconds(*attack(n))),
    "batch": ([32, 64, 128, 256], lambda runs, n: runs.seconds(*attack(100), "--batch", n)),
    "logits": ([10, 100, 1000], lambda runs, n: runs.seconds(*attack(100), classes=n)),
    "cells": ([63, 125, 250, 500], lambda runs, n: runs.seconds(*cells(n), images=16)),
    "threads": ([1, 2], lambda runs, n: runs.seconds(*attack(200), images=512, threads=n)),
}


def svg(found):
    """Small multiples: seconds against size, both from zero."""
    side, gap, top = 190, 50, 26
    parts = []
    for place, (axis, rows) in enumerate(found.items()):
        x0, y0 = gap + (place % 3) * (side + gap), top + (place // 3) * (side + gap + 20)
        most_x, most_y = max(size for size, _ in rows), max(seconds for _, seconds in rows)
        at = [(x0 + side * size / most_x, y0 + side - side * seconds / most_y) for size, seconds in rows]
        parts.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold">{axis}</text>')
        parts.append(f'<path d="M{x0} {y0}V{y0 + side}H{x0 + side}" fill="none" stroke="#999"/>')
        parts.append('<path d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in at) + '" fill="none" stroke="#2a6f97" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2a6f97"/>' for x, y in at]
        parts.append(f'<text x="{x0 + side}" y="{y0 + side + 16}" text-anchor="end">{most_x}</text>')
        parts.append(f'<text x="{x0 - 4}" y="{y0 + 10}" text-anchor="end">{most_y:.1f} s</text>')
    width, height = gap + 3 * (side + gap), top + 2 * (side + gap + 20)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'
            f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "debug" / "rlnet")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--axes", default=",".join(AXES), help="default: all")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(options.program.resolve(), Path(folder), options.rounds)
        print("| what grows | sizes | seconds | the last doubling |\n|---|---|---|---:|")
        for axis in options.axes.split(","):
            sizes, measure = AXES[axis]
            rows = found[axis] = [(size, measure(runs, size)) for size in sizes]
            last = rows[-1][1] / rows[-2][1]
            texts = [", ".join(str(size) for size in sizes), ", ".join(f"{seconds:.2f}" for _, seconds in rows)]
            print(f"| {axis} | {texts[0]} | {texts[1]} | {last:.2f} |", flush=True)
            if axis == "cells":
                started = time.perf_counter()
                run([str(options.program.resolve()), "report", str(runs.last)])
                print(f"| report of {sizes[-1]} cells | | {time.perf_counter() - started:.2f} | |", flush=True)
    if options.svg:
        options.svg.write_text(svg(found))


if __name__ == "__main__":
    sys.exit(main())
