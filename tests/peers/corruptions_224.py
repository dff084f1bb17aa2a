#!/usr/bin/env python3
"""Our corruptions against Python at 224x224: milliseconds of a core an image.

    python3 tests/peers/corruptions_224.py PHOTOS [--images N] [--rounds R] [--names A,B]

The 19 of ImageNet-C by the package imagecorruptions (its glass_blur and gaussian_blur name an argument of scikit-image
as of old: it is renamed on the way); the ten of ImageNet-C-bar by their formulas, pixel by pixel, as the published
script goes through the image. Five of those can be written with whole arrays of NumPy: "... (whole arrays)" in the table.
Both sides take the middle 224x224 pixels of the same photographs, in turns: Python, ours, Python ...
What counts is processor time, the least of all rounds, so other work on the machine matters little. This measures time
only: what is equal to the byte is the business of the crate's tests.
"""

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import c_bar
from corruptions import THREADS, WHOLE, time_ours
from venv_of import inside_venv

PACKAGES = ["imagecorruptions==1.1.2", "numpy==1.24.4", "scikit-image==0.20.0", "scipy==1.10.1",
            "opencv-python==4.7.0.72", "setuptools==80.9.0"]


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", help="only these, with commas")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-corruptions-224")
    return parser.parse_args()


def main():
    options = arguments()
    for name in THREADS:
        os.environ[name] = "1"
    inside_venv(options.venv, PACKAGES)
    warnings.simplefilter("ignore")
    import time

    # The package, not the script beside this one.
    sys.path.remove(str(Path(__file__).resolve().parent))
    import cv2
    import imagecorruptions
    import numpy as np
    import skimage.filters
    from PIL import Image

    cv2.setNumThreads(1)
    images = []
    for file in sorted(options.photos.glob("*.JPEG")):
        image = np.asarray(Image.open(file).convert("RGB"))
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        if min(top, left) >= 0 and len(images) < options.images:
            images.append(np.ascontiguousarray(image[top:top + 224, left:left + 224]))

    def gaussian(image, *sigma, multichannel=False, **others):
        return skimage.filters.gaussian(image, *sigma, channel_axis=-1 if multichannel else None, **others)
    imagecorruptions.corruptions.gaussian = gaussian

    def packaged(name):
        return lambda image, s: imagecorruptions.corrupt(image, severity=s + 1, corruption_name=name)

    table = {name: packaged(name) for name in imagecorruptions.get_corruption_names("all")}
    table |= c_bar.pixel_by_pixel(224)
    table |= {f"{name}{WHOLE}": function for name, function in c_bar.c_bar(224).items()}
    if options.names:
        table = {name: table[name] for name in options.names.split(",")}
    python, ours = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.rgb"
        # The processor's clock ticks a hundred times a second: the same images over and over.
        repeats = max(1, 40 // len(images))
        file.write_bytes(b"".join(image.tobytes() for image in images) * repeats)
        for _ in range(options.rounds):
            for name, function in table.items():
                start = time.process_time()
                try:
                    for s in range(5):
                        for image in images:
                            function(image, s)
                except Exception as why:
                    print(f"SKIPPED {name}: {type(why).__name__}: {why}", file=sys.stderr)
                    continue
                took = 1e3 * (time.process_time() - start) / (5 * len(images))
                python[name] = min(took, python.get(name, took))
                took = time_ours(file, len(images) * repeats, 224, name.removesuffix(WHOLE)).popitem()[1]
                ours[name] = min(took, ours.get(name, took))
    print(f"{len(images)} photographs, 224x224, 5 severities, processor time, least of {options.rounds} rounds, one thread")
    print(f"{'corruption':<34} {'Python ms':>10} {'ours ms':>9} {'ratio':>7}")
    for name in python:
        print(f"{name:<34} {python[name]:>10.2f} {ours[name]:>9.2f} {python[name] / ours[name]:>6.1f}x")


if __name__ == "__main__":
    main()
