import os

import numpy as np
import numpy.typing as npt

VERSION: int

def corrupt(
    images: npt.NDArray[np.uint8],
    name: str,
    severity: int,
    seed: int,
    indices: list[int] | None,
    stack: str,
    parameters: str | None,
    frost_textures: str | os.PathLike[str] | None,
) -> npt.NDArray[np.uint8]: ...
def contact_sheet(image: npt.NDArray[np.uint8], names: list[str], seed: int) -> npt.NDArray[np.uint8]: ...
def families() -> list[tuple[str, list[str]]]: ...
