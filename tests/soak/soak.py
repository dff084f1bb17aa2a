#!/usr/bin/env python3
"""A soak: training, evaluation and corruption under faults, which must end with the bytes of undisturbed work.

    python3 tests/soak/soak.py --minutes 2

A tiny suite runs once undisturbed. Then it runs again and again in other folders while things go wrong, one after the
other: kills at random moments, a stop on request, a full disk, a folder that becomes read-only, an object store that
goes away, a clock that jumps, two processes at once. Each faulty process must end in one of the ways that are
documented, and the run that follows must go on where it stopped. At the end of every folder its files are compared
with the undisturbed ones, byte for byte. A corrupted test set is made the same way. Memory is sampled all the while.

--minutes scales the work: 120 are 200 epochs of each network, the 950,000 images of CIFAR-10-C and 30 kills. A full
disk and read-only mounts need root (else a file-size limit and permissions stand in), the clock needs libfaketime
(Debian package `faketime`), the store needs moto (tests/peers/s3_server.py installs it). What cannot be done is said.
Exit code 0: all equal and memory flat; 1: not.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20
# The size of the disk that gets full.
DISK = 160 * MEBIBYTE
# Growth of resident memory from the second to the last quarter of a process's life that is still flat: allocators
# keep some of what they got.
FLAT = 0.10, 24 * MEBIBYTE
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")

SUITE = """
schema = 1
name = "soak"
title = "Soak"
description = "The three stages and a baseline, as small as they go."

[data]
dataset = "shapes"
train = 200
test = 40

[network]
arch = "resnet8-w4"

[training]
batch = 16
epochs = {epochs}
attack = "pgd:steps=2,alpha=5/255"

[[train]]
name = "teacher"
stage = "teacher"

[[train]]
name = "mask"
stage = "mask"
teacher = "teacher"
budget = "4x"

[[train]]
name = "rlnet"
stage = "student"
mask = "mask"

[evaluation]
models = ["teacher", "rlnet"]
corruptions = ["gaussian_noise", "fog", "contrast"]
severities = [1, 5]
batch = 8
attacks = ["fgsm", "pgd:steps=10", "square:queries=50"]
"""


class Soak:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.folder = Path(tempfile.mkdtemp(prefix="rlnet-soak-"))
        self.environment = dict(os.environ, OMP_NUM_THREADS="1", XDG_CACHE_HOME=str(self.folder / "cache"))
        self.counts, self.skipped, self.problems, self.memory = {}, [], [], []
        self.mounted, self.children = [], []
        self.root = os.geteuid() == 0 and self.mounts()
        (self.folder / "s.toml").write_text(SUITE.format(epochs=max(2, round(200 * options.minutes / 120))))

    # What runs.

    def words(self, out, *more):
        run = ["run", "s.toml", "--threads", "1", "--shard", "8", "--out", str(out)]
        return [str(self.options.binary), *run, *more]

    def start(self, words, environment=None, limit=None):
        def prepare():
            if limit:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        log = open(self.folder / "log", "ab")
        child = subprocess.Popen(
            words, cwd=self.folder, env=environment or self.environment, stdout=subprocess.DEVNULL,
            stderr=log, preexec_fn=prepare,
        )
        self.children.append(child)
        self.watch(child, words[1])
        return child

    def watch(self, child, what):
        """Samples the resident memory of a process until it ends."""

        def sample():
            seen = []
            while child.poll() is None:
                try:
                    status = Path(f"/proc/{child.pid}/status").read_text()
                except OSError:
                    break
                line = [line for line in status.splitlines() if line.startswith("VmRSS:")]
                if line:
                    seen.append(1024 * int(line[0].split()[1]))
                time.sleep(0.1)
            self.memory.append((what, seen))

        threading.Thread(target=sample, daemon=True).start()

    def finish(self, out, *more, environment=None):
        """Runs to the end, undisturbed."""
        child = self.start(self.words(out, *more), environment)
        if child.wait() != 0:
            self.problems.append(f"{out}: the run that should finish ended with {child.returncode}: {self.tail()}")

    def tail(self):
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])

    def expect(self, fault, child, codes):
        """Waits for a faulty process, which may also have come to its end before the fault."""
        try:
            code = child.wait(timeout=300)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            self.problems.append(f"{fault}: the process did not end within five minutes")
            return
        if code not in {0, *codes}:
            self.problems.append(f"{fault}: exit code {code}, not one of {sorted(codes)}: {self.tail()}")
        if code != 0:
            self.counts[fault] = self.counts.get(fault, 0) + 1

    def later(self):
        time.sleep(self.random.uniform(0.05, self.longest))

    # What goes wrong. Each fault leaves the folder as a run can go on in it.

    def kill(self, out):
        child = self.start(self.words(out))
        self.later()
        child.kill()
        self.expect("kills (SIGKILL)", child, {-signal.SIGKILL})

    def stop(self, out):
        child = self.start(self.words(out))
        self.later()
        child.send_signal(signal.SIGTERM)
        # Before it listens, the signal ends it.
        self.expect("stops (SIGTERM)", child, {3, -signal.SIGTERM})

    def full_disk(self, out):
        if not self.root:
            child = self.start(self.words(out), limit=self.random.choice([4096, 40_000, 200_000]))
            return self.expect("file-size limits", child, {1, 2})
        child = self.start(self.words(out))
        self.later()
        ballast = out.parent / "ballast"
        try:
            with open(ballast, "wb") as file:
                while True:
                    file.write(bytes(MEBIBYTE))
                    file.flush()
        except OSError:
            pass
        self.expect("full disks", child, {1, 2})
        ballast.unlink()

    def read_only(self, out):
        place = out if out.exists() else out.parent
        if self.root:
            subprocess.run(["mount", "-o", "remount,ro", str(out.parent)], check=True)
        else:
            place.chmod(0o555)
        child = self.start(self.words(out))
        self.expect("read-only folders", child, {1, 2})
        if self.root:
            subprocess.run(["mount", "-o", "remount,rw", str(out.parent)], check=True)
        else:
            place.chmod(0o755)

    def clock(self, out):
        if not LIBFAKETIME.exists():
            return self.skip("the clock: libfaketime is not installed (Debian package faketime)")
        jump = self.random.choice(["-3d", "+40d", "-2h", "+1y"])
        environment = dict(self.environment, LD_PRELOAD=str(LIBFAKETIME), FAKETIME=jump, FAKETIME_DONT_FAKE_MONOTONIC="1")
        child = self.start(self.words(out), environment)
        self.later()
        child.kill()
        self.expect("clocks that jumped", child, {-signal.SIGKILL})

    def two(self, out):
        first, second = self.start(self.words(out)), self.start(self.words(out))
        self.later()
        first.kill()
        self.expect("kills beside a second process", first, {-signal.SIGKILL})
        if second.wait() != 0:
            self.problems.append(f"the second of two processes ended with {second.returncode}: {self.tail()}")

    def skip(self, why):
        if why not in self.skipped:
            self.skipped.append(why)

    # Places.

    def mounts(self):
        """Whether this user can mount a small disk."""
        place = self.folder / "try"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        return done.returncode == 0

    def disk(self, name):
        place = self.folder / name
        place.mkdir()
        if self.root:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)], check=True)
            self.mounted.append(place)
        return place

    def results(self, out):
        """Checksums of every result file; times are in records and curves."""
        found = {}
        for file in sorted((out / "cells").glob("*/*")):
            if file.name in ("cell.json", "train.parquet") or file.name.startswith("events"):
                continue
            found[f"{file.parent.name}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def compare(self, whole, out, how):
        ours, theirs = self.results(out), self.results(whole)
        wrong = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        if wrong or not theirs:
            self.problems.append(f"{how}: {len(wrong)} of {len(theirs)} files differ, as {sorted(wrong)[:3]}")
        self.counts["files compared"] = self.counts.get("files compared", 0) + len(theirs)

    # The parts.

    def suite(self):
        whole = self.disk("undisturbed") / "run"
        started = time.monotonic()
        self.finish(whole)
        seconds = time.monotonic() - started
        kills = max(4, round(30 * self.options.minutes / 120))
        others = max(1, round(3 * self.options.minutes / 120))
        faults = [self.kill] * kills + [self.stop, self.full_disk, self.read_only, self.clock, self.two] * others
        self.random.shuffle(faults)
        # So many faults before a run comes to its end by itself, on average.
        self.longest = max(1.0, 2.5 * seconds / (1 + len(faults)))
        rounds = 0
        while faults:
            out = self.disk(f"disturbed-{rounds}") / "run"
            for _ in range(len(faults)):
                faults.pop()(out)
                if self.done(out, whole):
                    break
            self.finish(out)
            self.compare(whole, out, f"round {rounds}")
            rounds += 1
        self.counts["disturbed runs"] = rounds
        return whole, seconds

    def done(self, out, whole):
        return len(self.results(out)) == len(self.results(whole))

    def store(self, whole):
        """A store that goes away while a run copies its cells into it."""
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/peers/s3_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )
        try:
            address = [server.stdout.readline().strip() for _ in range(2)][1]
            if not address:
                return self.skip("the store: moto cannot be installed (tests/peers/s3_server.py)")
            environment = dict(
                self.environment, AWS_ENDPOINT_URL=address, AWS_ALLOW_HTTP="true", AWS_ACCESS_KEY_ID="key",
                AWS_SECRET_ACCESS_KEY="secret", AWS_REGION="us-east-1",
            )

            def tell(command):
                server.stdin.write(f"{command}\n")
                server.stdin.flush()
                server.stdout.readline()

            place, url = self.disk("stored"), "s3://bucket/soak"
            child = self.start(self.words(url, "--work-dir", str(place / "run")), environment)
            self.later()
            tell("stop")
            time.sleep(self.random.uniform(0.2, 2))
            child.kill()
            self.expect("stores that went away", child, {-signal.SIGKILL, 1})
            tell("start")
            self.finish(url, "--work-dir", str(place / "run"), environment=environment)
            self.compare(whole, place / "run", "the run with a store")
            # Another machine gets from the store what was finished.
            self.finish(url, "--work-dir", str(place / "other"), environment=environment)
            rows = {name: sum for name, sum in self.results(place / "other").items() if name.endswith("outcomes.parquet")}
            known = self.results(whole)
            if not rows or any(known.get(name) != sum for name, sum in rows.items()):
                self.problems.append("rows fetched from the store differ")
        finally:
            server.stdin.close()
            server.wait()

    def corruptions(self):
        """A corrupted test set, made in pieces between kills."""
        images = max(20, round(10_000 * self.options.minutes / 120))
        limit = min(images, 2000)
        names = "gaussian_noise,fog,snow,jpeg_compression,elastic_transform" if images < 2000 else "all"
        dataset = ["cifar10", "--limit", str(images)] if self.options.cifar10 else ["shapes", "--limit", str(limit)]
        words = [str(self.options.binary), "corrupt", *dataset, "--names", names, "--threads", "1"]
        started = time.monotonic()
        if self.start([*words, "--out", "corrupted-whole"]).wait() != 0:
            return self.problems.append(f"corrupted images: {self.tail()}")
        seconds = time.monotonic() - started
        for _ in range(max(3, round(20 * self.options.minutes / 120))):
            child = self.start([*words, "--out", "corrupted"])
            time.sleep(self.random.uniform(0.02, max(0.1, seconds / 4)))
            child.kill()
            self.expect("kills while corrupting", child, {-signal.SIGKILL})
        if self.start([*words, "--out", "corrupted"]).wait() != 0:
            self.problems.append(f"corrupted images: {self.tail()}")
        files = sorted((self.folder / "corrupted-whole").glob("*.npy"))
        for file in files:
            other = self.folder / "corrupted" / file.name
            if not other.exists() or other.read_bytes() != file.read_bytes():
                self.problems.append(f"{file.name} differs after kills")
        self.counts["files compared"] = self.counts.get("files compared", 0) + len(files)
        self.counts["corrupted images"] = sum(file.stat().st_size // 3072 for file in files if file.stem != "labels")

    def flat(self):
        """Resident memory over the life of the longest processes, MiB: second and last quarter."""
        longest = {}
        for what, seen in self.memory:
            if len(seen) > len(longest.get(what, [])):
                longest[what] = seen
        found = {}
        for what, seen in longest.items():
            quarter = len(seen) // 4
            if quarter < 5:
                continue
            early, late = (sum(part) / len(part) for part in (seen[quarter : 2 * quarter], seen[-quarter:]))
            found[what] = [round(value / MEBIBYTE) for value in (early, late, max(seen))]
            share, room = FLAT
            if late > early * (1 + share) + room:
                self.problems.append(f"memory of rlnet {what} grew from {early / MEBIBYTE:.0f} to {late / MEBIBYTE:.0f} MiB")
        return found

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for place in self.mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="about how long it takes on two idle cores")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/debug/rlnet")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the order of the faults")
    parser.add_argument("--cifar10", action="store_true", help="corrupt CIFAR-10 ($RLNET_DATA) instead of drawn shapes")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    # Asked to stop, it cleans up as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started, soak = time.monotonic(), Soak(options)
    try:
        whole, _ = soak.suite()
        soak.store(whole)
        soak.corruptions()
        time.sleep(0.3)
        memory = soak.flat()
    finally:
        soak.close()
    result = {
        "seconds": round(time.monotonic() - started), "minutes asked": options.minutes, "as root": soak.root,
        "counts": soak.counts, "not done": soak.skipped,
        "resident MiB (second quarter, last quarter, peak)": memory, "problems": soak.problems,
    }
    print(json.dumps(result, indent=2))
    sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
