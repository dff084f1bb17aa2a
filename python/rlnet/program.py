"""Where the ``rlnet`` program is, and the libtorch that it runs with."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

#: The release of libtorch that the program is built for.
LIBTORCH = "2.11.0"


class ProgramError(Exception):
    """The program cannot be started, and what to do about it."""


def program() -> Path:
    """The program: ``$RLNET_PROGRAM``, else the one in this package, else the first on the path."""
    named = os.environ.get("RLNET_PROGRAM")
    if named:
        return Path(named)
    own = Path(__file__).parent / "bin" / "rlnet"
    if own.is_file():
        return own
    # The command that `pip install` makes is this package's own and would start itself.
    elsewhere = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part != str(Path(sys.executable).parent)]
    found = shutil.which("rlnet", path=os.pathsep.join(elsewhere))
    if found is None:
        raise ProgramError("the rlnet program is not there: pip install ./python builds it, or set RLNET_PROGRAM")
    return Path(found)


def environment() -> dict[str, str]:
    """The program's environment: with the libtorch of the installed PyTorch where its release fits."""
    # Models in Python are served from the environment that has this package.
    variables = {"RLNET_PYTHON": sys.executable, **os.environ}
    libraries = _libraries()
    if libraries is not None:
        before = os.environ.get("LD_LIBRARY_PATH")
        variables["LD_LIBRARY_PATH"] = os.pathsep.join([str(libraries), *([before] if before else [])])
    return variables


def libtorch() -> str:
    """One sentence on which libtorch the program will run with."""
    libraries = _libraries()
    if libraries is not None:
        return f"libtorch {LIBTORCH} of the installed PyTorch, in {libraries}"
    try:
        found = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        found = None
    here = f"PyTorch {found} is installed here, which does not fit" if found else "no PyTorch is installed here"
    return f"the libtorch {LIBTORCH} that the program was built with ({here}; pip install torch=={LIBTORCH})"


def _libraries() -> Path | None:
    """The folder of libtorch in an installed PyTorch of the right release. PyTorch is not imported for that."""
    if os.environ.get("LIBTORCH"):
        return Path(os.environ["LIBTORCH"]) / "lib"
    try:
        release = importlib.metadata.version("torch").split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None
    spec = importlib.util.find_spec("torch")
    if release != LIBTORCH or spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "lib"
    return folder if (folder / "libtorch_cpu.so").is_file() else None


def main() -> int:
    """The command ``rlnet``: the program in place of this process."""
    try:
        found = program()
        if _libraries() is None:
            _check(found)
        os.execve(found, [str(found), *sys.argv[1:]], environment())
    except ProgramError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: starting {found}: {error}", file=sys.stderr)
    return 2


def _check(found: Path) -> None:
    """Says what to do where the program does not find the libtorch that it was built with."""
    tried = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise ProgramError(f"{found} does not start: {tried.stderr.strip()}; it looks for {libtorch()}")

