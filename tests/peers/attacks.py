#!/usr/bin/env python3
"""How fast attacks are beside the peers' code: the same model, images, settings and threads, taking turns.

    python3 tests/peers/attacks.py MODEL.pt FOLDER_WITH_test_batch.bin [--images 128] [--threads 1] [--rounds 3] [--rows pgd,apgd-ce]

Installs PyTorch 2.11.0, pyautoattack (AutoAttack by its authors), torchattacks and Foolbox in a virtual environment
under the user's cache folder (--venv to choose; 3 GB to fetch). MODEL is a TorchScript file: images in [0, 1] in, logits
out; or `resnet18`: one of full width and random weights whose answer no attack changes. Prints a row for each attack and
peer: CPU seconds of both (the median of the rounds), their ratio with its lowest and highest, passes an image, accuracy under the
attack and memory at its peak. --json FILE writes the ratios of all rounds.

CPU seconds of the peer are those of the attack alone; ours are those of `rlnet eval` with the attack less those of
`rlnet eval` without it, in the same round. A peer attacks in batches of the whole set, ours in batches of its default size.
The seconds mean little while other programs run; the ratios mean more, because both sides take turns.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import cifar10
from venv_of import inside_venv

PACKAGES = ["torch==2.11.0", "pyautoattack==0.2.0", "foolbox==3.3.4", "numpy", "pyarrow"]
# (It pins releases of its dependencies that nothing here needs.)
ALONE = ["torchattacks==3.5.1"]
ROOT = Path(__file__).resolve().parents[2]
LINF, L2 = 8 / 255, 0.5


def reference(norm, *names):
    """Attacks of AutoAttack's standard version, by its authors; all four without names."""
    def attack(model, images, labels):
        from pyautoattack import AutoAttack

        suite = AutoAttack(model, norm=norm, eps=LINF if norm == "Linf" else L2, version="standard")
        if names:
            suite.attacks_to_run = list(names)
        return suite.run_standard_evaluation(images, labels, batch_size=len(images))[0]
    return attack


def torchattacks_pgd(model, images, labels):
    import torchattacks

    return torchattacks.PGD(model, eps=LINF, alpha=2 / 255, steps=20, random_start=True)(images, labels)


def foolbox_pgd(model, images, labels):
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=20, random_start=True)
    _, made, _ = attack(wrapped, images, labels, epsilons=LINF)
    return made


# The row, our attack, and the peers that have it.
ROWS = {
    "pgd": ("pgd:steps=20", {"torchattacks": torchattacks_pgd, "foolbox": foolbox_pgd}),
    "apgd-ce": ("apgd-ce", {"autoattack": reference("Linf", "apgd-ce")}),
    "apgd-t": ("apgd-t", {"autoattack": reference("Linf", "apgd-t")}),
    "fab-t": ("fab-t", {"autoattack": reference("Linf", "fab-t")}),
    "square": ("square", {"autoattack": reference("Linf", "square")}),
    "autoattack": ("autoattack", {"autoattack": reference("Linf")}),
    "autoattack-l2": ("autoattack:norm=l2", {"autoattack": reference("L2")}),
}


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="TorchScript: images in [0, 1] in, logits out")
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary version")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS), help="default: all")
    parser.add_argument("--program", type=Path, help="an `rlnet` (default: the one that cargo builds)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratios of the rounds")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-attacks")
    parser.add_argument("--peer", nargs=2, metavar=("ROW", "PEER"), help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_resnet18(file):
    """A ResNet18 that sees so little contrast that it gives one class whatever is done to an image: on the images of that
    class, a tenth of all, both sides make every pass of an attack."""
    import torch
    from torch import nn

    from step import ResNet18

    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = ResNet18(nn.ReLU)

        def forward(self, images):
            return self.network((images - 0.5) * 1e-4 + 0.5, 0)[0]

    torch.manual_seed(0)
    with torch.no_grad():
        torch.jit.trace(Faint().eval(), torch.rand(8, 3, 32, 32)).save(file)


class Counted:
    """A model that counts the images of its passes."""

    def __init__(self, model):
        import torch

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.forwards, self.backwards = model, 0, 0

            def forward(self, images):
                self.forwards += len(images)
                logits = self.inner(images)
                if logits.requires_grad:
                    logits.register_hook(self.seen)
                return logits

            def seen(self, gradient):
                self.backwards += len(gradient)

        self.module = Module().eval()


def peer(options):
    """One attack of a peer, in a process of its own; prints what it cost."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = cifar10.first(options.data, options.images)
    network = torch.jit.load(options.model).eval()
    with torch.no_grad():
        network(images)
    model = Counted(network).module
    row, name = options.peer
    usage = resource.getrusage(resource.RUSAGE_SELF)
    before = usage.ru_utime + usage.ru_stime
    made = ROWS[row][1][name](model, images, labels)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with torch.no_grad():
        right = (network(made).argmax(1) == labels) & (network(images).argmax(1) == labels)
    print(json.dumps({"seconds": usage.ru_utime + usage.ru_stime - before, "right": int(right.sum()),
                      "memory": usage.ru_maxrss / 1024,
                      "forwards": model.forwards, "backwards": model.backwards}))


def run(command):
    """What a child printed, and what it used."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)}: exit code {child.returncode}")
    return output, usage


def theirs(options, row, name):
    command = [sys.executable, __file__, str(options.model), str(options.data), "--images", str(options.images),
               "--threads", str(options.threads), "--peer", row, name]
    return json.loads(run(command)[0].splitlines()[-1])


def ours(options, attack):
    """`rlnet eval` with the attack; CPU seconds of the whole process."""
    import pyarrow.parquet as parquet

    with tempfile.TemporaryDirectory() as folder:
        command = [str(options.program), "eval", str(options.model.resolve()), "--dataset", "cifar10",
                   "--data-dir", str(options.data.resolve()), "--limit", str(options.images), "--device", "cpu",
                   "--threads", str(options.threads), "--discard-images", "--out", folder]
        _, usage = run(command + (["--attack", attack] if attack else []))
        rows = [row for file in Path(folder).glob("cells/*/outcomes.parquet") for row in parquet.read_table(file).to_pylist()]
    attacked = [row for row in rows if row["condition"] != "clean"]
    return {"seconds": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024, "right": sum(row["prediction"] == row["label"] for row in attacked),
            "forwards": sum(row["forwards"] for row in attacked), "backwards": sum(row["backwards"] for row in attacked)}


def compare(options, row):
    """The lines of a table for a row, one a peer; the ratios of the rounds by peer."""
    attack, peers = ROWS[row]
    rounds = []
    for _ in range(options.rounds):
        start = ours(options, None)["seconds"]
        own = ours(options, attack)
        own["seconds"] -= start
        rounds.append({"ours": own} | {name: theirs(options, row, name) for name in peers})
    found = {}
    for name in peers:
        pairs = [(turn["ours"], turn[name]) for turn in rounds]
        ratios = sorted(peer["seconds"] / own["seconds"] for own, peer in pairs)
        found[f"{row}, {name}"] = ratios
        own, other = pairs[0]
        middle = [statistics.median(side["seconds"] for side in column) for column in zip(*pairs)]
        passes = [f"{side['forwards'] / options.images:.0f} + {side['backwards'] / options.images:.0f}" for side in (own, other)]
        accuracy = [f"{100 * side['right'] / options.images:.1f}" for side in (own, other)]
        print(f"| {row} | {name} | {middle[0]:.1f} | {middle[1]:.1f} | {statistics.median(ratios):.2f} "
              f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {passes[0]} | {passes[1]} | {accuracy[0]} | {accuracy[1]} | "
              f"{own['memory']:.0f} | {other['memory']:.0f} |", flush=True)
    return found


def main():
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    inside_venv(options.venv, PACKAGES)
    if options.peer:
        return peer(options)
    if options.make:
        return make_resnet18(options.make)
    # Not imported: a child's peak of memory is at least what its parent held.
    if not importlib.util.find_spec("torchattacks"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *ALONE]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    if not options.program:
        subprocess.run(["cargo", "build", "--quiet", "-p", "rlnet"], cwd=ROOT, check=True)
        options.program = ROOT / "target" / "debug" / "rlnet"
    with tempfile.TemporaryDirectory() as folder:
        if str(options.model) == "resnet18":
            options.model = Path(folder) / "resnet18.pt"
            run([sys.executable, __file__, "resnet18", str(options.data), "--make", str(options.model)])
        compare_all(options)


def compare_all(options):
    print("| attack | peer | ours, CPU s | peer, CPU s | peer / ours | our passes | its passes | our accuracy, % | its accuracy, % "
          "| our MB | its MB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    found = {}
    for row in options.rows.split(","):
        found |= compare(options, row)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
