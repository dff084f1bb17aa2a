"""``python -m rlnet.serve MODEL --socket PATH``: the server that ``rlnet eval python:FILE.py:factory`` starts."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from .models import Model, ModelError, as_model, load, load_state
from .server import listen, serve


#: From <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def _floats(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _model(options: argparse.Namespace) -> Model:
    if options.factory:
        found = load_state(load(options.factory), Path(options.model))
    elif options.model.rpartition(":")[0].endswith(".py"):
        found = load(options.model)
    else:
        found = options.model
    return as_model(found, mean=options.mean, std=options.std, name=options.name, device=options.device)


def _end_with_parent() -> None:
    """On Linux, the kernel ends this process with the one that started it, even where the model's code hangs."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Serves until standard input is closed: the program that started it has ended, whatever ended it."""
    parser = argparse.ArgumentParser(prog="rlnet.serve", description=__doc__)
    parser.add_argument("model", help="FILE.py:factory, an .onnx or .pt2 file, or with --factory a state_dict (.pth)")
    parser.add_argument("--socket", required=True, help="path of the local socket to listen on")
    parser.add_argument("--factory", help="FILE.py:make, which makes the module that MODEL's weights belong to")
    parser.add_argument("--mean", type=_floats, help="mean of each channel, for a model that expects normalised images")
    parser.add_argument("--std", type=_floats, help="standard deviation of each channel")
    parser.add_argument("--name", help="the model's name in reports")
    parser.add_argument("--threads", type=int, help="CPU threads of a torch model")
    parser.add_argument("--device", help="where to put the model (torch)")
    options = parser.parse_args()
    _end_with_parent()
    try:
        model = _model(options)
    except ModelError as error:
        print(f"rlnet.serve: {error}", file=sys.stderr)
        return 2
    with model.prepare(options.threads):
        listener = listen(options.socket)
        threading.Thread(target=serve, args=(model, listener), daemon=True).start()
        print("ready", flush=True)
        sys.stdin.buffer.read()
    listener.close()
    os.unlink(options.socket)
    return 0


if __name__ == "__main__":
    sys.exit(main())
