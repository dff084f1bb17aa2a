"""Puts the program ``rlnet`` into the package: ``pip install ./python`` needs cargo and ``make setup``.

``RLNET_BINARY`` names a program that is built already.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent


def program():
    """The program that is named, or the one that cargo builds."""
    named = os.environ.get("RLNET_BINARY")
    if named:
        return Path(named)
    if not (ROOT / "harness" / "Cargo.toml").is_file():
        raise SystemExit("the program's source is not beside python/: install from a clone of the repository")
    built = subprocess.run(
        ["cargo", "build", "--locked", "-p", "rlnet", "--message-format=json-render-diagnostics"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False,
    )
    if built.returncode != 0:
        raise SystemExit("cargo build failed (above); `make setup` fetches libtorch first")
    made = [Path(json.loads(line).get("executable") or "") for line in built.stdout.splitlines()]
    return next(path for path in made if path.name == "rlnet")


class BuildProgram(build_py):
    def run(self):
        super().run()
        target = Path(self.build_lib) / "rlnet" / "bin" / "rlnet"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(program(), target)
        if shutil.which("strip"):
            subprocess.run(["strip", target], check=True)


class Wheel(bdist_wheel):
    """The wheel has a program for this platform, and Python code for every version."""

    def get_tag(self):
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class WithProgram(Distribution):
    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": BuildProgram, "bdist_wheel": Wheel}, distclass=WithProgram)
