"""``rlnet.evaluate``: serves a model of this process to the ``rlnet`` program and runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .models import as_model
from .program import environment, program
from .run import Run
from .server import serving


class EvaluationError(Exception):
    """An evaluation that ended without a result. ``code`` is the program's exit code: 1 the work failed, 2 the
    input or the usage was wrong, 3 it was stopped and the same call goes on."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def evaluate(
    model: Any,
    dataset: str = "cifar10",
    *,
    attacks: Iterable[str] = (),
    corruptions: str | Iterable[str] | None = None,
    severity: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    device: str | None = None,
    gradients: bool | None = None,
    limit: int | None = None,
    images: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    allow: Iterable[str] = (),
    options: Iterable[str] = (),
) -> Run:
    """Evaluates a model and returns the run: its rows, tables and page.

    The same call goes on where an earlier one was cut off, and does nothing the second time.

    Args:
        model: A ``torch.nn.Module``, a JAX function, a NumPy function, or the path of an ``.onnx`` or ``.pt2`` file.
            It takes images ``[N, 3, H, W]`` in ``[0, 1]`` (or normalised by ``mean`` and ``std``) and returns logits.
        dataset: ``"cifar10"``, ``"cifar100"``, ``"tiny-imagenet"``, ``"imagefolder:PATH"`` or ``"shapes"``.
        attacks: For example ``["pgd:steps=20", "autoattack"]``; ``rlnet attack list`` prints all.
        corruptions: ``"benchmark"`` (the 15 of CIFAR-10-C), ``"all"``, or names.
        severity: ``"1-5"`` (the default of the program), ``"3"``, ``"1,5"``.
        mean: Mean of each channel of images in ``[0, 1]``, where the model expects normalised images.
        std: Standard deviation of each channel; goes with ``mean``.
        name: The model's name in the report; the class's name by default.
        device: Where to put a torch module; by default it stays where it is.
        gradients: ``False`` for a function that gives logits only.
        limit: Evaluate the first ``limit`` test images only.
        images: Evaluate these test images only: ``"5000-5511"``, ``"3,7,9-20"``, or a file of such lines.
        data_dir: Folder of the data set in its official layout; ``$RLNET_DATA`` by default.
        out: The run's folder; ``out/eval-NAME`` by default.
        threads: CPU threads of the program and of a torch model.
        allow: Codes of preflight findings to go on with.
        options: Further options of ``rlnet eval``, as on the command line.

    Raises:
        ModelError: The model is of no kind that can be served.
        ProgramError: The program is not installed.
        EvaluationError: The evaluation ended without a result; the message is the program's.
    """
    served = as_model(model, mean=mean, std=std, name=name, device=device, gradients=gradients)
    folder = Path(out) if out is not None else Path("out") / f"eval-{served.name}"
    with serving(served, threads) as socket:
        command = [str(program()), "eval", f"socket:{socket}", "--name", served.name, "--dataset", dataset]
        for attack in [attacks] if isinstance(attacks, str) else attacks:
            command += ["--attack", attack]
        if corruptions is not None:
            command += ["--corruptions", corruptions if isinstance(corruptions, str) else ",".join(corruptions)]
        for option, value in [
            ("--severity", severity),
            ("--limit", limit),
            ("--images", images),
            ("--data-dir", data_dir),
            ("--threads", threads),
        ]:
            if value is not None:
                command += [option, str(value)]
        for code in allow:
            command += ["--allow", code]
        _run([*command, "--out", str(folder), *options])
    return Run(folder)


def _run(command: list[str]) -> None:
    """Runs the program; its progress goes to standard error. Ctrl-C stops it softly: it saves, and so can go on."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), text=True)
    tail: list[str] = []
    assert child.stderr is not None
    try:
        for line in child.stderr:
            sys.stderr.write(line)
            tail = [*tail[-19:], line]
        code = child.wait()
    except BaseException:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    if code != 0:
        errors = [line.removeprefix("error: ").rstrip() for line in tail if line.startswith("error: ")]
        raise EvaluationError("\n".join(errors) or "".join(tail).rstrip() or f"rlnet ended with exit code {code}", code)
