#!/usr/bin/env python3
"""Our corruptions against the usual Python stack: milliseconds an image, one thread each.

    python3 tests/peers/corruptions.py FOLDER_WITH_test_batch.bin [--frost DIR] [--images N] [--rounds R]

Installs NumPy, SciPy, scikit-image, OpenCV, Pillow and Wand in a virtual environment under the
user's cache folder (--venv to choose), states the nineteen 32x32 corruptions the way the public
scripts do, with the library calls they make, and those of C-bar and the sequences of CIFAR-10-P (c_bar.py), and
times both sides on the same images in turn:
Python, ours, Python, ours ... What counts is processor time, the least of all rounds: it does not
depend on what else the machine does. Motion blur and snow need
ImageMagick's library; frost needs the five photographs. What is absent is skipped, and said.
This measures time only: what is equal to the byte is the business of the crate's tests.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import c_bar
from venv_of import inside_venv

PACKAGES = ["numpy", "scipy", "scikit-image", "opencv-python-headless", "Pillow", "Wand"]
ROOT = Path(__file__).resolve().parents[2]
# Of the name of a Python function that a script does not have.
WHOLE = " (whole arrays)"
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS",
           "MAGICK_THREAD_LIMIT"]


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary version")
    parser.add_argument("--frost", type=Path, help="folder of frost1.png ... frost5.jpg")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-corruptions")
    return parser.parse_args()


def peers(frost):
    """The corruptions by name: functions of (RGB bytes, severity 1 to 5), in Python."""
    import io
    from math import ceil

    import cv2
    import numpy as np
    import skimage.color
    import skimage.filters
    import skimage.util
    from PIL import Image
    from scipy.ndimage import gaussian_filter, map_coordinates
    from scipy.ndimage import zoom as ndzoom

    cv2.setNumThreads(1)
    draw = np.random

    def blurred(array, sigma):
        return skimage.filters.gaussian(array, sigma=sigma, channel_axis=-1)

    def stored(array):
        return (np.clip(array, 0, 1) * 255).astype(np.uint8)

    def gaussian_noise(image, s):
        x = image / 255.0
        return stored(x + draw.normal(size=x.shape, scale=[.04, .06, .08, .09, .10][s]))

    def shot_noise(image, s):
        photons = [500, 250, 100, 75, 50][s]
        return stored(draw.poisson(image / 255.0 * photons) / photons)

    def impulse_noise(image, s):
        return stored(skimage.util.random_noise(image / 255.0, mode="s&p", amount=[.01, .02, .03, .05, .07][s]))

    def speckle_noise(image, s):
        x = image / 255.0
        return stored(x + x * draw.normal(size=x.shape, scale=[.06, .1, .12, .16, .2][s]))

    def gaussian_blur(image, s):
        return stored(blurred(image / 255.0, [.4, .6, .7, .8, 1][s]))

    def glass_blur(image, s):
        sigma, reach, times = [(.05, 1, 1), (.25, 1, 1), (.4, 1, 1), (.25, 1, 2), (.4, 1, 2)][s]
        z = stored(blurred(image / 255.0, sigma))
        n = len(z)
        for _ in range(times):
            for row in range(n - reach, reach, -1):
                for column in range(n - reach, reach, -1):
                    across, down = draw.randint(-reach, reach, size=2)
                    # The published swap of two views, which copies one way.
                    z[row, column] = z[row + down, column + across]
        return stored(blurred(z / 255.0, sigma))

    def disk(radius, alias):
        side = np.arange(-8, 9)
        x, y = np.meshgrid(side, side)
        kernel = np.array(x ** 2 + y ** 2 <= radius ** 2, dtype=np.float32)
        return cv2.GaussianBlur(kernel / kernel.sum(), ksize=(3, 3), sigmaX=alias)

    def defocus_blur(image, s):
        kernel = disk(*[(.3, .4), (.4, .5), (.5, .6), (1, .2), (1.5, .1)][s])
        x = image / 255.0
        return stored(np.stack([cv2.filter2D(x[:, :, c], -1, kernel) for c in range(3)], axis=2))

    def magick_blur(png, radius, sigma, angle):
        from wand.image import Image as Wand
        with Wand(blob=png) as picture:
            picture.motion_blur(radius=radius, sigma=sigma, angle=angle)
            blob = picture.make_blob()
        return cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)

    def motion_blur(image, s):
        radius, sigma = [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)][s]
        png = io.BytesIO()
        Image.fromarray(image).save(png, format="PNG")
        made = magick_blur(png.getvalue(), radius, sigma, draw.uniform(-45, 45))
        if made.ndim == 2:
            made = np.stack([made] * 3, axis=2)
        return made[:, :, 2::-1]

    def clipped_zoom(array, factor):
        n = len(array)
        crop = int(ceil(n / factor))
        top = (n - crop) // 2
        scale = (factor, factor) + (1,) * (array.ndim - 2)
        out = ndzoom(array[top:top + crop, top:top + crop], scale, order=1)
        trim = (len(out) - n) // 2
        return out[trim:trim + n, trim:trim + n]

    def zoom_blur(image, s):
        factors = np.arange(1, [1.06, 1.11, 1.16, 1.21, 1.26][s], .01)
        x = (image / 255.0).astype(np.float32)
        total = np.zeros_like(x)
        for factor in factors:
            total += clipped_zoom(x, factor)
        return stored((x + total) / (len(factors) + 1))

    def snow(image, s):
        mean, sd, zoom, threshold, radius, sigma, mix = [
            (.1, .2, 1, .6, 8, 3, .95), (.1, .2, 1, .5, 10, 4, .9), (.15, .3, 1.75, .55, 10, 4, .9),
            (.25, .3, 2.25, .6, 12, 6, .85), (.3, .3, 1.25, .65, 14, 12, .8)][s]
        x = image.astype(np.float32) / 255.0
        layer = clipped_zoom(draw.normal(size=x.shape[:2], loc=mean, scale=sd), zoom)
        layer[layer < threshold] = 0
        png = io.BytesIO()
        Image.fromarray(stored(layer), mode="L").save(png, format="PNG")
        layer = magick_blur(png.getvalue(), radius, sigma, draw.uniform(-135, -45)) / 255.0
        layer = layer.reshape(x.shape[0], x.shape[1], -1)[:, :, :1]
        grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[:, :, None]
        x = mix * x + (1 - mix) * np.maximum(x, grey * 1.5 + .5)
        return stored(x + layer + np.rot90(layer, k=2))

    def frosted(image, s):
        weight, cover = [(1, .2), (1, .3), (.9, .4), (.85, .4), (.75, .45)][s]
        # Read anew for every image, as the published script does.
        name = ["frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"][draw.randint(5)]
        texture = cv2.resize(cv2.imread(str(frost / name)), (0, 0), fx=.2, fy=.2)
        row = draw.randint(0, texture.shape[0] - 32)
        column = draw.randint(0, texture.shape[1] - 32)
        texture = texture[row:row + 32, column:column + 32, ::-1]
        return np.clip(weight * image + cover * texture, 0, 255).astype(np.uint8)

    def plasma(decay, n=32):
        field = np.empty((n, n))
        field[0, 0] = 0
        step, wibble = n, 100.0

        def jitter(mean):
            return mean / 4 + wibble * draw.uniform(-wibble, wibble, mean.shape)

        while step >= 2:
            half = step // 2
            corners = field[::step, ::step]
            square = corners + np.roll(corners, -1, axis=0)
            square = square + np.roll(square, -1, axis=1)
            field[half::step, half::step] = jitter(square)
            middle = field[half::step, half::step]
            corners = field[::step, ::step]
            sides = middle + np.roll(middle, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
            field[::step, half::step] = jitter(sides)
            sides = middle + np.roll(middle, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
            field[half::step, ::step] = jitter(sides)
            step, wibble = half, wibble / decay
        field -= field.min()
        return field / field.max()

    def fog(image, s):
        strength, decay = [(.2, 3), (.5, 3), (.75, 2.5), (1, 2), (1.5, 1.75)][s]
        x = image / 255.0
        top = x.max()
        return stored((x + strength * plasma(decay)[:, :, None]) * top / (top + strength))

    def spatter(image, s):
        mean, sd, sigma, threshold, strength, mud = [
            (.62, .1, .7, .7, .5, 0), (.65, .1, .8, .7, .5, 0), (.65, .3, 1, .69, .5, 0),
            (.65, .1, .7, .69, .6, 1), (.65, .1, .5, .68, .6, 1)][s]
        x = image.astype(np.float32) / 255.0
        liquid = gaussian_filter(draw.normal(size=x.shape[:2], loc=mean, scale=sd), sigma=sigma)
        liquid[liquid < threshold] = 0
        if mud:
            mask = gaussian_filter((liquid > threshold).astype(np.float32), sigma=strength)
            mask[mask < .8] = 0
            mask = mask[:, :, None]
            return stored(x * (1 - mask) + np.array([63, 42, 20]) / 255.0 * mask)
        layer = (liquid * 255).astype(np.uint8)
        distance = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
        _, distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)
        distance = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
        edges = cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
        mask = layer * cv2.blur(edges, (3, 3)).astype(np.float32)
        mask = mask / max(mask.max(), 1e-9) * strength
        return stored(x + mask[:, :, None] * np.array([175, 238, 238]) / 255.0)

    def contrast(image, s):
        x = image / 255.0
        mean = x.mean(axis=(0, 1), keepdims=True)
        return stored((x - mean) * [.75, .5, .4, .3, .15][s] + mean)

    def hsv(image, change):
        x = skimage.color.rgb2hsv(image / 255.0)
        change(x)
        return stored(skimage.color.hsv2rgb(x))

    def brightness(image, s):
        def change(x):
            x[:, :, 2] = np.clip(x[:, :, 2] + [.05, .1, .15, .2, .3][s], 0, 1)
        return hsv(image, change)

    def saturate(image, s):
        times, plus = [(.3, 0), (.1, 0), (1.5, 0), (2, .1), (2.5, .2)][s]

        def change(x):
            x[:, :, 1] = np.clip(x[:, :, 1] * times + plus, 0, 1)
        return hsv(image, change)

    def jpeg_compression(image, s):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=[80, 65, 58, 50, 40][s])
        return np.asarray(Image.open(file))

    def pixelate(image, s):
        small = (int(32 * [.95, .9, .85, .75, .65][s]),) * 2
        picture = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        return np.asarray(picture.resize((32, 32), Image.Resampling.BOX))

    def elastic_transform(image, s):
        alpha, sigma, jitter = [
            (0, 0, .08), (.05, .2, .07), (.08, .06, .06), (.1, .04, .05), (.1, .03, .03)][s]
        n = 32
        alpha, sigma, jitter = alpha * n, sigma * n, jitter * n
        x = image.astype(np.float32) / 255.0
        middle, third = np.float32([n // 2, n // 2]), n // 3
        before = np.float32([middle + third, [middle[0] + third, middle[1] - third], middle - third])
        after = before + draw.uniform(-jitter, jitter, size=before.shape).astype(np.float32)
        warp = cv2.getAffineTransform(before, after)
        x = cv2.warpAffine(x, warp, (n, n), borderMode=cv2.BORDER_REFLECT_101)

        def shift():
            field = draw.uniform(-1, 1, size=(n, n))
            return (gaussian_filter(field, sigma, mode="reflect", truncate=3) * alpha).astype(np.float32)
        dx, dy = shift()[:, :, None], shift()[:, :, None]
        across, down, channel = np.meshgrid(np.arange(n), np.arange(n), np.arange(3))
        places = np.reshape(down + dy, (-1, 1)), np.reshape(across + dx, (-1, 1)), np.reshape(channel, (-1, 1))
        return stored(map_coordinates(x, places, order=1, mode="reflect").reshape(x.shape))

    # In the order of the benchmark, then the extras; `None` where something is absent.
    table = {f.__name__: f for f in [
        gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow]}
    table["frost"] = frosted if frost else None
    table |= {f.__name__: f for f in [
        fog, brightness, contrast, elastic_transform, pixelate, jpeg_compression, speckle_noise,
        gaussian_blur, spatter, saturate]}
    try:
        import wand.image  # noqa: F401 (fails where ImageMagick's library is absent)
    except ImportError as why:
        print(f"SKIPPED motion_blur and snow: {str(why).splitlines()[0]}", file=sys.stderr)
        table["motion_blur"] = table["snow"] = None
    if not frost:
        print("SKIPPED frost: name the folder of the photographs with --frost", file=sys.stderr)
    return table


def time_python(function, images):
    """Milliseconds an image, over five severities."""
    start = time.process_time()
    for severity in range(5):
        for image in images:
            made = function(image, severity)
            assert made.shape == image.shape and made.dtype == image.dtype, function.__name__
    return 1e3 * (time.process_time() - start) / (5 * len(images))


def time_sequence(function, images):
    """Milliseconds a sequence."""
    start = time.process_time()
    for image in images:
        frames = function(image)
        assert len(frames) in (16, 21, 31) and all(frame.shape == image.shape for frame in frames)
    return 1e3 * (time.process_time() - start) / len(images)


def time_ours(images_file, count, side=32, *name):
    """Milliseconds of a core an image by corruption (or of one), from the crate's `throughput` example."""
    command = ["cargo", "run", "--quiet", "-p", "rlnet-corruptions", "--example", "throughput", "--",
               str(count), str(side), str(images_file), *name]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in said.splitlines()]
    # brightness  0.01 s  14.0 us an image,  13.9 us of a core
    return {row[0]: float(row[7]) / 1e3 for row in rows if row[0] != "total"}


def main():
    options = arguments()
    for name in THREADS:
        os.environ[name] = "1"
    inside_venv(options.venv, PACKAGES)
    import numpy as np

    record = 1 + 3 * 32 * 32
    planes = np.frombuffer((options.data / "test_batch.bin").read_bytes(), np.uint8).reshape(-1, record)
    images = planes[:options.images, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    images = np.ascontiguousarray(images)
    # The published script of C-bar goes pixel by pixel; five of its corruptions can be written with whole arrays, which
    # is no published code.
    slow = {name: function for name, function in c_bar.pixel_by_pixel(32).items() if name in c_bar.c_bar(224)}
    whole = {f"{name}{WHOLE}" if name in slow else name: function for name, function in c_bar.c_bar().items()}
    table = peers(options.frost) | slow | whole
    films = c_bar.sequences()
    if not table["motion_blur"]:
        films |= {"p/motion_blur": None, "p/snow": None}
    table |= films
    python, ours = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        # Ours would finish so few images in microseconds: the same ones over and over.
        repeats = max(1, 400 // len(images))
        file = Path(folder) / "images.rgb"
        file.write_bytes(images.tobytes() * repeats)
        for _ in range(options.rounds):
            for name, function in table.items():
                if function:
                    some = images[:4] if name in slow else images
                    took = (time_sequence if name in films else time_python)(function, some)
                    python[name] = min(took, python.get(name, took))
            for name, took in time_ours(file, len(images) * repeats).items():
                ours[name] = min(took, ours.get(name, took))
    ours |= {name: ours[name.removesuffix(WHOLE)] for name in table}
    print(f"{len(images)} CIFAR-10 images, 5 severities (p/...: whole sequences), least of {options.rounds} rounds, one thread")
    print(f"{'corruption':<31} {'Python ms':>10} {'ours ms':>10} {'ratio':>8}")
    for name, function in table.items():
        if function:
            print(f"{name:<31} {python[name]:>10.3f} {ours[name]:>10.4f} {python[name] / ours[name]:>7.1f}x")
        else:
            print(f"{name:<31} {'skipped':>10} {ours[name]:>10.4f}")
    both = sum(python.values()), sum(ours[name] for name in python)
    print(f"{f'sum of {len(python)}':<31} {both[0]:>10.3f} {both[1]:>10.4f} {both[0] / both[1]:>7.1f}x")


if __name__ == "__main__":
    main()
