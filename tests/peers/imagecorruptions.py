#!/usr/bin/env python3
"""The package `imagecorruptions` beside ours: which corruptions run on which libraries, and milliseconds an image.

    python3 tests/peers/imagecorruptions.py [--size 224] [--images 8] [--rounds 3]

Installs an environment under the user's cache folder: `imagecorruptions` with the libraries of today (Python 3.11 and
later has no older scikit-image that all of it would run on), and `./corruptions/python`. Times are of one core, the
least of the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from venv_of import make

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["imagecorruptions==1.1.2", "numpy==2.4.6", "scikit-image==0.26.0", "scipy==1.17.1",
            "opencv-python==5.0.0.93", "setuptools==80.9.0", str(ROOT / "corruptions" / "python")]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")


def measure(size, count, rounds):
    """Runs inside an environment: milliseconds an image of the peer (or its error) and of ours, by corruption."""
    import time

    import cv2
    import imagecorruptions
    import numpy as np
    import rlnet_corruptions

    cv2.setNumThreads(1)
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)

    def least(call):
        times = []
        for _ in range(rounds):
            start = time.process_time()
            call()
            times.append(1e3 * (time.process_time() - start) / count)
        return min(times)

    for name in imagecorruptions.get_corruption_names("all"):
        try:
            peer = least(lambda: [imagecorruptions.corrupt(image, corruption_name=name, severity=3) for image in images])
        except Exception as error:
            peer = f"{type(error).__name__}: {error}"
        ours = least(lambda: rlnet_corruptions.corrupt(images, name, severity=3, parameters="imagenet"))
        print(json.dumps([name, peer, ours]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return measure(options.size, options.images, options.rounds)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rlnet"
    python = make(cache / "peers-imagecorruptions", PACKAGES)
    numbers = [f"--{name}={getattr(options, name)}" for name in ("size", "images", "rounds")]
    # With -P: the script's folder would hide the package, which has its name.
    made = subprocess.run(
        [python, "-P", __file__, "--inside", *numbers], check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
    )
    print(f"{', '.join(PACKAGES[:-1])}; {options.size}x{options.size}, one core")
    print(f"{'corruption':<18} {'imagecorruptions ms':>20} {'ours ms':>9} {'ratio':>8}")
    for line in made.stdout.splitlines():
        name, peer, ours = json.loads(line)
        if isinstance(peer, str):
            print(f"{name:<18} {'fails':>20} {ours:>9.3f}  {peer[:80]}")
        else:
            print(f"{name:<18} {peer:>20.3f} {ours:>9.3f} {peer / ours:>7.1f}x")


if __name__ == "__main__":
    main()
