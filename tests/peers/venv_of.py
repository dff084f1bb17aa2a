"""The virtual environment a comparison with a peer runs in."""

import os
import subprocess
import sys
from pathlib import Path


def make(folder, packages):
    """Installs the packages in a virtual environment, where it does not have them yet; gives its Python."""
    python, marker = folder / "bin" / "python", folder / "ready"
    wanted = "\n".join(packages)
    if not marker.exists() or marker.read_text() != wanted:
        print(f"installing {', '.join(packages)} in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdin=subprocess.DEVNULL)
        marker.write_text(wanted)
    return python


def inside_venv(folder, packages):
    """Runs the program again under the virtual environment's Python, installing packages at first."""
    if Path(sys.prefix).resolve() != folder.resolve():
        python = make(folder, packages)
        os.execv(python, [str(python), *sys.argv])
