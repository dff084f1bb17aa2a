#!/usr/bin/env python3
"""Virtual environments for the tests of the Python package, made once under the user's cache folder.

    python3 tests/peers/python_env.py [torch] [torch-old] [jax]

Prints the Python of each; `torch` when none is named.
"""

import argparse
import os
from pathlib import Path

from venv_of import make

TESTS = ["numpy==2.2.6", "pytest==9.2.0"]
ENVIRONMENTS = {
    # The release that the program is built for, with what the package can use: 2.7 GB fetched, 5.3 GB kept.
    "torch": ["torch==2.11.0", "numpy==2.4.6", "pytest==9.2.0", "mypy==2.4.1", "polars==2.1.0", "pandas==3.1.1",
              "pyarrow==26.0.1", "onnx==1.23.2", "onnx2torch==1.5.15", "setuptools==80.9.0", "wheel==0.48.0"],
    # Two years before it: 2.5 GB fetched.
    "torch-old": ["torch==2.4.1", *TESTS],
    "jax": ["jax==0.7.2", *TESTS],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ENVIRONMENTS], metavar="NAME")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    for name in parser.parse_args().names or ["torch"]:
        print(make(cache / "rlnet" / f"python-{name}", ENVIRONMENTS[name]))


if __name__ == "__main__":
    main()
