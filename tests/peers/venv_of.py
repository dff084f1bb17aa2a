"""The virtual environment a comparison with a peer runs in."""

import os
import subprocess
import sys
from pathlib import Path


def inside_venv(folder, packages):
    """Runs the program again under the virtual environment's Python, installing packages at first."""
    python = folder / "bin" / "python"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not (folder / "ready").exists():
        print(f"installing {', '.join(packages)} in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "ready").touch()
    os.execv(python, [str(python), *sys.argv])
