"""The common image corruptions of CIFAR-10-C, Tiny-ImageNet-C, ImageNet-C and C-bar, byte for byte.

>>> import numpy as np
>>> from rlnet_corruptions import CORRUPTIONS, corrupt
>>> images = np.full((4, 32, 32, 3), 128, np.uint8)
>>> foggy = corrupt(images, "fog", severity=3)
>>> foggy.shape, foggy.dtype.name, len(CORRUPTIONS)
((4, 32, 32, 3), 'uint8', 29)

Nothing here needs PyTorch, OpenCV or ImageMagick.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import _native

__all__ = ["BENCHMARK", "CORRUPTIONS", "Corrupt", "FAMILIES", "VERSION", "contact_sheet", "corrupt"]
__version__ = "0.1.0"

#: Version of the algorithms: a change of any output byte raises it.
VERSION: int = _native.VERSION
#: Names by family: ``c`` (the 15 of the benchmark), ``c-extra``, ``c-bar``, ``imagenet-c-bar`` (for 224 pixels).
FAMILIES: dict[str, tuple[str, ...]] = {family: tuple(names) for family, names in _native.families()}
#: The 15 of CIFAR-10-C, Tiny-ImageNet-C and ImageNet-C.
BENCHMARK: tuple[str, ...] = FAMILIES["c"]
#: Every name that has severities for 32 pixels.
CORRUPTIONS: tuple[str, ...] = tuple(name for family in ("c", "c-extra", "c-bar") for name in FAMILIES[family])

Stack = Literal["release", "modern"]
Parameters = Literal["cifar", "tiny-imagenet", "imagenet"]
Bytes = npt.NDArray[np.uint8]


def corrupt(
    images: Bytes,
    name: str,
    severity: int = 3,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    *,
    stack: Stack = "release",
    parameters: Parameters | None = None,
    frost_textures: str | os.PathLike[str] | None = None,
) -> Bytes:
    """Corrupts images, in parallel and without the GIL. The input is not changed.

    >>> images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    >>> noisy = corrupt(images, "shot_noise", severity=5, seed=7)
    >>> alone = corrupt(images[1], "shot_noise", severity=5, seed=7, indices=[1])
    >>> bool((alone == noisy[1]).all())      # An image's bytes do not depend on its batch.
    True

    Args:
        images: ``[N, H, W, 3]``, or one image ``[H, W, 3]``, uint8.
        name: One of :data:`CORRUPTIONS`, or of ``FAMILIES["imagenet-c-bar"]``.
        severity: 1 to 5.
        seed: Seed of all draws.
        indices: Position of each image in its data set, which keys its draws; 0, 1, 2, ... by default.
        stack: The libraries to imitate: ``"release"`` (2019, of the published files) or ``"modern"`` (2023).
        parameters: Whose severities; by the size of the images (32, 64 or 224) by default.
        frost_textures: Folder of the benchmark's frost photographs; pictures from a formula by default.

    Raises:
        ValueError: An unknown name or severity, or images that the corruption is not defined for.
        TypeError: Images that are not uint8.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise TypeError(f"images are uint8 in 0..255, not {array.dtype}")
    batch = array[None] if array.ndim == 3 else array
    keys = None if indices is None else [int(index) for index in indices]
    folder = None if frost_textures is None else os.fspath(frost_textures)
    made = _native.corrupt(np.ascontiguousarray(batch), name, severity, seed, keys, stack, parameters, folder)
    return made[0] if array.ndim == 3 else made


def contact_sheet(image: Bytes, names: Iterable[str] = CORRUPTIONS, seed: int = 0) -> Bytes:
    """One picture of an image ``[H, W, 3]`` under corruptions (columns) at the five severities (rows).

    >>> contact_sheet(np.zeros((32, 32, 3), np.uint8), ["fog", "contrast"]).shape[2]
    3
    """
    return _native.contact_sheet(np.ascontiguousarray(image, np.uint8), list(names), seed)


class Corrupt:
    """A transform for data loaders, in the manner of torchvision: a PIL image or an array ``[H, W, 3]`` in, the same out.

    The draws are keyed by ``seed`` and by the image's own bytes. So an image is corrupted alike in every epoch, in any
    order and in any worker process.

    >>> transform = Corrupt("gaussian_noise", severity=2)
    >>> image = np.full((32, 32, 3), 90, np.uint8)
    >>> bool((transform(image) == transform(image)).all())
    True
    """

    def __init__(self, name: str, severity: int = 3, seed: int = 0, **options: Any) -> None:
        self.name, self.severity, self.seed, self.options = name, severity, seed, options
        # A wrong name is refused here, not in a worker.
        known: Parameters = "imagenet" if name in FAMILIES["imagenet-c-bar"] else "cifar"
        corrupt(np.zeros((1, 32, 32, 3), np.uint8), name, severity, seed, **{"parameters": known, **options})

    def __call__(self, image: Any) -> Any:
        picture = None
        if not isinstance(image, np.ndarray):
            from PIL import Image

            if not isinstance(image, Image.Image):
                raise TypeError(f"a PIL image or a uint8 array [H, W, 3] is wanted, not a {type(image).__name__}; "
                                "put this transform before ToTensor")
            picture, image = image, np.asarray(image.convert("RGB"))
        key = int.from_bytes(hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest(), "little")
        made = corrupt(image, self.name, self.severity, self.seed, [key], **self.options)
        if picture is None:
            return made
        from PIL import Image

        return Image.fromarray(made)

    def __repr__(self) -> str:
        return f"Corrupt({self.name!r}, severity={self.severity}, seed={self.seed})"
