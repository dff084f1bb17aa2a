#!/usr/bin/env python3
"""What Pillow makes of pictures: the golden hashes of corruptions/tests/pictures.rs.

    python3 tests/peers/pillow.py                    hashes of resized formula images
    python3 tests/peers/pillow.py photos FOLDER      hashes of photographs, decoded and prepared
    python3 tests/peers/pillow.py files FOLDER       small files of every kind, and hashes of their pixels

Installs Pillow in a virtual environment under the user's cache folder. A hash is the first 16
hexadecimal digits of the SHA-256 of the RGB bytes; prepared is Resize(256) and CenterCrop(224).
tests/fixtures/pictures is what the third form writes, tests/fixtures/photographs.txt the output of the
second.
"""

import hashlib
import os
import sys
import zlib
from pathlib import Path

from venv_of import inside_venv

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
FILTERS = ["BILINEAR", "BICUBIC", "LANCZOS"]
# Width and height before, and after: reduced, enlarged, both, hardly changed, kept along one axis.
SIZES = [((64, 64), (32, 32)), ((61, 37), (256, 155)), ((50, 40), (23, 57)), ((97, 96), (96, 97)),
         ((40, 30), (40, 11)), ((33, 7), (5, 7)), ((300, 9), (7, 300)), ((5, 5), (1, 1))]

PARTS = [(7, 5, 33, 27), (20, 0, 40, 48), (44, 30, 18, 17), (3, 24, 24, 24)]


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def formula(width, height):
    """value(y,x,c) = (x (5 + 2c) + y (3 + c) + floor(xy / 4) (c + 1)) mod 256."""
    values = [(x * (5 + 2 * c) + y * (3 + c) + x * y // 4 * (c + 1)) % 256
              for y in range(height) for x in range(width) for c in range(3)]
    return Image.frombytes("RGB", (width, height), bytes(values))


def prepared(image, resample, resize=256, crop=224):
    """torchvision's Resize(resize) and CenterCrop(crop)."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = int(resize * long / short)
    size = (resize, new_long) if width <= height else (new_long, resize)
    image = image.resize(size, resample)
    left, top = (int(round((n - crop) / 2.0)) for n in image.size)
    return image.crop((left, top, left + crop, top + crop))


def files(folder):
    """Pictures of every kind that `convert("RGB")` reads, and `hashes.txt`."""
    image = formula(29, 23)
    grey, alpha = image.convert("L"), image.getchannel("G")
    clear = image.copy()
    clear.putalpha(alpha)
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned.
    saved = {
        "baseline.jpg": (image, dict(quality=85)),
        "optimised.jpg": (image, dict(quality=85, optimize=True)),
        "full-chroma.jpg": (image, dict(quality=90, subsampling="4:4:4")),
        "half-chroma.jpg": (image, dict(quality=75, subsampling="4:2:2")),
        "progressive.jpg": (image, dict(quality=60, progressive=True)),
        "grey.jpg": (grey, dict(quality=80)),
        "inks.jpg": (image.convert("CMYK"), dict(quality=90)),
        "turned.jpg": (image, dict(quality=85, exif=exif)),
        "colour.png": (image, {}),
        "grey.png": (grey, {}),
        "black-and-white.png": (image.convert("1"), {}),
        "palette.png": (image.quantize(7), {}),
        "palette-clear.png": (image.quantize(200), dict(transparency=3)),
        "colour-clear.png": (clear, {}),
        "grey-clear.png": (clear.convert("LA"), {}),
        "colour-key.png": (image, dict(transparency=image.getpixel((3, 4)))),
    }
    lines = []
    for name, (picture, options) in saved.items():
        picture.save(folder / name, **options)
    deep(folder / "colour-deep.png")
    for file in sorted([*saved, "colour-deep.png"]):
        read = Image.open(folder / file).convert("RGB")
        lines.append(f"{file} {read.size[0]} {read.size[1]} {digest(read)}\n")
    # Sixteen bits of grey become white above 255 in convert("RGB"): no picture that anybody meant.
    Image.frombytes("I;16", (5, 4), bytes(range(40))).save(folder / "grey-deep.png")
    (folder / "hashes.txt").write_text("".join(lines))


def deep(path):
    """A PNG file of sixteen bits a channel, which Pillow reads and does not write."""
    rows = b"".join(b"\0" + b"".join(((x * 9001 + y * 731 + c * 40000) % 65536).to_bytes(2, "big")
                                     for x in range(29) for c in range(3)) for y in range(23))
    chunk = lambda kind, data: (len(data).to_bytes(4, "big") + kind + data
                                + zlib.crc32(kind + data).to_bytes(4, "big"))
    head = (29).to_bytes(4, "big") + (23).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def photos(folder):
    for file in sorted(folder.glob("*.JPEG")):
        # As torchvision's default loader.
        image = Image.open(file).convert("RGB")
        print(file.name, image.size[0], image.size[1], digest(image),
              *[digest(prepared(image, getattr(Image.Resampling, name))) for name in FILTERS])


if __name__ == "__main__":
    inside_venv(CACHE / "rlnet" / "peers-pillow", ["Pillow"])
    import PIL
    from PIL import Image

    if sys.argv[1:2] in (["files"], ["photos"]):
        {"files": files, "photos": photos}[sys.argv[1]](Path(sys.argv[2]))
        sys.exit()
    print(f"Pillow {PIL.__version__}")
    for before, after in SIZES:
        row = [digest(formula(*before).resize(after, getattr(Image.Resampling, name))) for name in FILTERS]
        print(f"    ({before}, {after}, {row}),".replace("'", '"'))
    # As torchvision's RandomResizedCrop and a flip, for parts chosen here: left, top, width, height.
    for part in PARTS:
        left, top, width, height = part
        cut = formula(64, 48).crop((left, top, left + width, top + height))
        row = [digest(cut.resize((24, 24), getattr(Image.Resampling, name)).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
               for name in FILTERS]
        print(f"    ({part}, {row}),".replace("'", '"'))
