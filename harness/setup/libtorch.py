#!/usr/bin/env python3
"""Puts libtorch 2.11.0 in .libtorch/{include,lib}, from the PyTorch wheel.

Idempotent: a complete .libtorch is left alone. Resumable: finished wheels are
kept in .libtorch/wheels until the prefix is in place. Needs Python 3.8+ only;
pip is taken from this Python, or from a private virtual environment.

  CPU        the torch wheel and the two CUDA run-time wheels that
             libtorch_cpu.so is linked against; 0.55 GB fetched, 0.5 GB kept.
  NVIDIA     (a driver is present, or --cuda) the whole wheel and every NVIDIA
             package it names; 2.7 GB fetched, 4.7 GB kept.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

TORCH = "torch==2.11.0"
# What libtorch_cpu.so needs at load time, even on a machine without a GPU.
CPU_RUNTIME = ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"]
# Any CPython the wheel is built for will do: only its C++ part is used.
WHEEL_TAGS = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64",
              "--platform", "manylinux_2_25_x86_64", "--platform", "manylinux_2_17_x86_64",
              "--platform", "manylinux2014_x86_64", "--only-binary=:all:"]
CPU_LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(f"error: {text}")
    sys.exit(2)


def has_driver():
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def pip(scratch):
    """A pip command: this Python's own, else one in a private virtual environment."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run(own + ["--version"], capture_output=True).returncode == 0:
        return own
    env = scratch / "pip"
    made = subprocess.run([sys.executable, "-m", "venv", str(env)], capture_output=True, text=True)
    if made.returncode != 0 and os.geteuid() == 0 and shutil.which("apt-get"):
        say("this Python has neither pip nor venv; installing Debian's python3-venv")
        subprocess.run(["apt-get", "update", "-qq"])
        subprocess.run(["apt-get", "install", "-y", "-qq", "python3-venv"])
        shutil.rmtree(env, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(env)], capture_output=True, text=True)
    if made.returncode != 0:
        fail("fetching libtorch needs pip, and this Python has neither pip nor venv. "
             "Install one (Debian: `apt-get install python3-venv`) and run `make setup` again, "
             "or set LIBTORCH to a libtorch 2.11.0 of your own.")
    return [str(env / "bin" / "python"), "-m", "pip"]


def fetch(pip_command, wheels, packages, dependencies):
    """Downloads wheels; pip checks each against the index's SHA-256."""
    # A half-written wheel of a killed run is not a zip file: drop it, keep the rest.
    for wheel in wheels.glob("*.whl"):
        if not zipfile.is_zipfile(wheel):
            wheel.unlink()
    command = pip_command + ["download", "--disable-pip-version-check", "--no-input", "-d", str(wheels),
                             "--find-links", str(wheels)] + WHEEL_TAGS
    command += [] if dependencies else ["--no-deps"]
    for attempt in (1, 2, 3):
        if subprocess.run(command + packages, stdout=sys.stderr).returncode == 0:
            return
        say(f"download failed (try {attempt} of 3)")
        time.sleep(5 * attempt)
    fail(f"could not download {' '.join(packages)}: see pip's message above, then run `make setup` again")


def unpack_cpu(wheels, prefix):
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for item in archive.infolist():
                name = Path(item.filename)
                if item.is_dir():
                    continue
                if name.parts[:2] == ("torch", "include"):
                    target = prefix / Path(*name.parts[1:])
                elif name.name in CPU_LIBRARIES:
                    target = prefix / "lib" / name.name
                else:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(item) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    missing = [name for name in sorted(CPU_LIBRARIES) if not (prefix / "lib" / name).exists()]
    if missing:
        fail(f"the wheels in {wheels} lack {', '.join(missing)}; delete that folder and run `make setup` again")
    # The wheel's libtorch.so asks for libtorch_cuda.so; the CPU library alone serves as well.
    (prefix / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")


def unpack_cuda(wheels, prefix):
    site = prefix / "site"
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    # Relative links: the libraries find NVIDIA's by $ORIGIN, which follows them.
    (prefix / "include").symlink_to("site/torch/include")
    (prefix / "lib").symlink_to("site/torch/lib")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", choices=["auto", "yes", "no"], default="auto")
    options = parser.parse_args()
    if os.environ.get("LIBTORCH"):
        say(f"LIBTORCH is set: using {os.environ['LIBTORCH']}")
        return
    root = Path(__file__).resolve().parents[2]
    prefix = root / ".libtorch"
    cuda = has_driver() if options.cuda == "auto" else options.cuda == "yes"
    flavour = f"2.11.0 {'cuda' if cuda else 'cpu'}"
    marker = prefix / "complete"
    if marker.exists() and marker.read_text().strip() == flavour:
        return
    free = shutil.disk_usage(root).free / 1e9
    fetched, kept = (2.7, 7.4) if cuda else (0.55, 1.1)
    say(f"libtorch {flavour}: fetching about {fetched} GB, {kept} GB of disk at the peak ({free:.0f} GB free)")
    if free < kept:
        fail(f"{free:.1f} GB free under {root}, {kept} GB needed")
    wheels = prefix / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    fetch(pip(prefix), wheels, [TORCH] + ([] if cuda else CPU_RUNTIME), dependencies=cuda)
    say("unpacking")
    work = prefix / "unpacking"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (unpack_cuda if cuda else unpack_cpu)(wheels, work)
    for name in ("include", "lib", "site"):
        old = prefix / name
        if old.is_symlink():
            old.unlink()
        else:
            shutil.rmtree(old, ignore_errors=True)
        if (work / name).exists() or (work / name).is_symlink():
            (work / name).rename(old)
    marker.write_text(flavour + "\n")
    shutil.rmtree(work)
    shutil.rmtree(wheels)
    shutil.rmtree(prefix / "pip", ignore_errors=True)
    say(f"libtorch is in {prefix}")


if __name__ == "__main__":
    main()
