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
from corruptions import THREADS, time_ours
from venv_of import inside_venv

PACKAGES = ["imagecorruptions==1.1.2", "numpy==1.24.4", "scikit-image==0.20.0", "scipy==1.10.1",
            "opencv-python==4.7.0.72", "setuptools==80.9.0"]
# Of the name of a Python function that a script does not have.
WHOLE = " (whole arrays)"


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", help="only these, with commas")
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-corruptions-224")
    return parser.parse_args()


def pixel_by_pixel(n):
    """The ten of ImageNet-C-bar, by name: functions of (RGB bytes, severity from 0)."""
    import numpy as np
    from scipy.fftpack import ifft2
    from scipy.ndimage import gaussian_filter

    draw, pi = np.random, np.pi

    def field(value):
        return np.array([[value(float(x), float(y)) for x in range(n)] for y in range(n)])

    def stored(array):
        return np.clip(array, 0, 255).astype(np.uint8)

    def single_frequency_greyscale(image, s):
        first = draw.uniform(-pi, pi)
        a, b = draw.permutation([first, draw.uniform(-abs(first), abs(first))])
        phase = draw.uniform(0, 2 * pi)
        wave = field(lambda x, y: np.sin(x * a + y * b + phase))
        return stored(image + 19.6 * [1, 1.5, 2, 4.5, 5][s] * wave[:, :, None])

    def cocentric_sine_waves(image, s):
        x0, y0 = draw.uniform(0, n, 2)
        frequency, amplitude, width = draw.uniform(0, 10), *draw.uniform(0, n / 10, 2)

        def ring(x, y):
            bent = np.sqrt((x - x0) ** 2 + (y - y0) ** 2)
            bent += amplitude * np.sin(np.arctan2(x - x0, y - y0) * frequency)
            return bent % width / width - .5
        return stored(image + 12.8 * [3, 5, 8, 9, 10][s] * field(ring)[:, :, None])

    def plasma_noise(image, s):
        time, steps, sharpness = draw.uniform(0, 6 * pi), draw.randint(4, 7), draw.uniform(.5, 1)
        scale, amount = n * draw.uniform(.075, .2), 6.4 * [4.75, 7, 8.5, 9.25, 10][s]

        def swirl(x, y):
            x, y, zoom, delay, damping = x / scale, y / scale, 1, 1, 1
            for _ in range(steps):
                a, b = np.cos(y * zoom + time / delay) / damping, np.sin(x * zoom + time / delay) / damping
                x, y = x + a - .3 * b, y + b + .3 * a
                zoom, delay, damping = 1.93 * zoom, 1.15 * delay, damping * (2.25 - sharpness)
            return [np.sin(x - time), np.sin((x + y + np.sin(time)) / 2), np.sin(y + time)]
        return stored((1 - amount / 255) * image + amount * field(swirl))

    def perlin_noise(image, s):
        vectors = draw.randint(-256, 256, (256, 2)) / 256
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        order, alpha = draw.permutation(256), .05 * [4.6, 5.2, 5.8, 7.6, 8.8][s]

        def noise(x, y):
            column, row = int(x), int(y)
            dx, dy = x - column, y - row
            across, down = dx * dx * (3 - 2 * dx), dy * dy * (3 - 2 * dy)

            def corner(i, j):
                a, b = vectors[order[(order[(column + i) % 256] + row + j) % 256]]
                return (dx - i) * a + (dy - j) * b
            above = corner(0, 0) + across * (corner(1, 0) - corner(0, 0))
            below = corner(0, 1) + across * (corner(1, 1) - corner(0, 1))
            return 1.5 * (above + down * (below - above))
        cloud = field(lambda x, y: sum(abs(noise(k * y / 32, k * x / 32)) / k for k in (1, 2, 4, 8, 16)))
        return stored((1 - alpha) * image + 255 * alpha * np.clip(.5 * cloud + .5, 0, 1)[:, :, None])

    def caustic_refraction(image, s):
        level, time, size = [2.35, 3.2, 4.9, 6.6, 9.15][s], draw.uniform(.5, 2), n * draw.uniform(.75, 1.25)
        lens, light, turn = level * n / 20, level / 5, 2 * pi

        def caustic(x, y):
            p, q = y / size % 1 * turn - 250, x / size % 1 * turn - 250
            a, b, total = p, q, 1.0
            for wave in range(1, 6):
                t = time * (1 - 3.5 / wave)
                a, b = p + np.cos(t - a) + np.sin(t + b), q + np.sin(t - b) + np.cos(t + a)
                total += 1 / np.hypot(p / (np.sin(a + t) / .005), q / (np.cos(b + t) / .005))
            return min(abs(1.17 - (total / 5) ** 1.4) ** 8, 1)
        water = np.pad(gaussian_filter(field(caustic), 1), 1)
        picture = np.pad(image / 255.0, ((1, 1), (1, 1), (0, 0)))
        out = np.empty(image.shape)
        for y in range(n):
            for x in range(n):
                down, right = water[y + 2, x + 1] - water[y, x + 1], water[y + 1, x + 2] - water[y + 1, x]
                normal = np.array([down, right, 1]) / np.sqrt(down * down + right * right + 1)
                bend = np.sqrt(1 - (1 - normal[2] ** 2) / 16) - normal[2] / 4
                dy, dx = normal[:2] * bend * lens * (normal[2] < .999)
                row, column = np.clip(y + dy, -1, n - .001), np.clip(x + dx, -1, n - .001)
                i, j = int(np.floor(row)), int(np.floor(column))
                v, u = row - i, column - j
                four = picture[i + 1:i + 3, j + 1:j + 3]
                mixed = (1 - v) * ((1 - u) * four[0, 0] + u * four[0, 1]) + v * ((1 - u) * four[1, 0] + u * four[1, 1])
                out[y, x] = np.clip(mixed + (down - right) * light, 0, 1)
        return stored(255 * out)

    def phase_noise(power):
        # The script asks for every frequency's amplitude anew for every field.
        amplitude = field(lambda x, y: power(np.linalg.norm(np.array([x, y]) - n / 2)))
        half = draw.uniform(0, 2 * pi, (n, n // 2))
        phases = np.concatenate([half, half[::-1, ::-1]], axis=1)
        made = ifft2(np.roll(amplitude * (np.cos(phases) + 1j * np.sin(phases)), n // 2, axis=(0, 1))).real
        return made / made.std()

    def blue_noise_sample(image, s):
        return image * (phase_noise(lambda far: far) > .3 * [.8, 1.6, 2.4, 4, 5.6][s] - 2.5)[:, :, None]

    def brownish_noise(image, s):
        noise = np.stack([phase_noise(lambda far: 1 / (far ** 2 + 1)) for _ in range(3)], axis=2)
        return stored(image + 6.4 * (s + 1) * noise)

    def checkerboard_cutout(image, s):
        angle, size = draw.uniform(0, 2 * pi), n * draw.uniform(.1, .25)
        grid = draw.uniform(size=(int(4 * n // size),) * 2) < (s + 2) / 10

        def kept(x, y):
            across = (np.cos(angle) * y + np.sin(angle) * x) / size
            down = (-np.sin(angle) * y + np.cos(angle) * x) / size
            return int(across % 2) != int(down % 2) or not grid[int(across), int(down)]
        return np.where(field(kept)[:, :, None], image, np.uint8(128))

    def spark(image, centre, lengths, power, mix):
        rays = len(lengths)

        def pixel(x, y):
            apart = np.array([y, x]) - centre
            turn = (np.arctan2(apart[1], apart[0]) + pi) / (2 * pi) * rays
            ray = int(turn)
            part = turn - ray
            length = lengths[ray % rays] + part * (lengths[(ray + 1) % rays] - lengths[ray % rays])
            reach = (length ** 2 / (np.linalg.norm(apart) ** 2 + 1e-4)) ** power
            return mix(image[int(y), int(x)].astype(np.float32), np.clip((1 - (part - .5) ** 2) * reach, 0, 1))
        return field(pixel)

    def sparkles(image, s):
        radius, white = n * [1, 2, 3, 5, 6][s] / 100, np.array([255, 255, 255])
        for centre in draw.uniform(0, n, (5, 2)):
            lengths = [max(1, radius + .25 * radius * draw.randn()) for _ in range(draw.randint(50, 200))]
            image = spark(image, centre, lengths, 1, lambda value, weight: value + weight * (white - value))
        return stored(image)

    def inverse_sparkles(image, s):
        white = np.array([255, 255, 255])
        lengths = [n / 4 * (1 + .25 * draw.randn()) for _ in range(draw.randint(50, 200))]
        return stored(spark(image, n * draw.uniform(.25, .75, 2), lengths, .13 * [1, 2, 4, 9, 10][s],
                            lambda value, weight: white + weight * (value - white)))

    return {f.__name__: f for f in [blue_noise_sample, brownish_noise, caustic_refraction, checkerboard_cutout,
                                    cocentric_sine_waves, inverse_sparkles, perlin_noise, plasma_noise,
                                    single_frequency_greyscale, sparkles]}


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
    table |= pixel_by_pixel(224)
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
