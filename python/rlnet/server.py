"""Serves a model over a local socket: the other end of ``rlnet eval``."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import protocol
from .models import Model, ModelError, Pullback
from .protocol import Floats, ProtocolError, SharedArrays


def answer(model: Model, stream: socket.socket, lock: threading.Lock) -> None:
    """Answers one client until it closes the connection."""
    session = _Session(model)
    try:
        while (request := protocol.receive(stream)) is not None:
            try:
                with lock:
                    reply = session.reply(request)
                reply = {"ok": True, **reply}
            except ProtocolError as error:
                reply = {"ok": False, "kind": "protocol", "error": str(error)}
            except ModelError as error:
                reply = {"ok": False, "kind": "model", "error": str(error)}
            except Exception as error:  # Whatever the model's code raises is the client's answer.
                reply = {"ok": False, "kind": "model", "error": _cause(error)}
            protocol.send(stream, reply)
    except (ConnectionError, ProtocolError):
        pass  # The client is gone, or speaks something else: nobody is left to tell.
    finally:
        session.close()


class _Session:
    """One client's arrays, and the passes whose gradients it may still ask for."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._arrays: SharedArrays | None = None
        self._passes: dict[int, Pullback] = {}
        self._count = 0

    def close(self) -> None:
        self._passes.clear()
        if self._arrays is not None:
            self._arrays.close()

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.get("op"):
            case "hello":
                return self._hello(request)
            case "logits":
                images = self._read(request)
                shown = _at_least_one(images)
                return self._write(request, _checked(self._model.logits(shown), shown)[: len(images)])
            case "forward":
                images = self._read(request)
                shown = _at_least_one(images)
                logits, pullback = self._model.forward(shown)
                reply = self._write(request, _checked(logits, shown)[: len(images)])
                if not len(images):
                    pullback = _gradient_of_none(images)
                self._count += 1
                self._passes[self._count] = pullback
                return {**reply, "pass": self._count}
            case "backward":
                pullback = self._passes[self._pass(request)]
                return self._write(request, pullback(self._read(request)))
            case "forget":
                del self._passes[self._pass(request)]
                return {}
            case other:
                raise ProtocolError(f"unknown request {other!r}")

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("protocol") != protocol.VERSION:
            raise ProtocolError(
                f"this rlnet package speaks version {protocol.VERSION} of the protocol, the program version "
                f"{request.get('protocol')}: install the package and the program of one release"
            )
        self._arrays = SharedArrays(_field(request, "memory"))
        model = self._model
        return {
            "protocol": protocol.VERSION,
            "name": model.name,
            "framework": model.framework,
            "fingerprint": model.fingerprint,
            "gradients": model.gradients,
        }

    def _read(self, request: dict[str, Any]) -> Floats:
        return self._shared().read(_field(request, "at"), _field(request, "shape"))

    def _write(self, request: dict[str, Any], array: Floats) -> dict[str, Any]:
        return {"shape": self._shared().write(_field(request, "out"), array)}

    def _shared(self) -> SharedArrays:
        if self._arrays is None:
            raise ProtocolError("the first request must be `hello`")
        return self._arrays

    def _pass(self, request: dict[str, Any]) -> int:
        number: int = _field(request, "pass")
        if number not in self._passes:
            raise ProtocolError(f"there is no pass {number}: call `forward` first")
        return number


def _field(request: dict[str, Any], name: str) -> Any:
    if name not in request:
        raise ProtocolError(f"the request {request.get('op')!r} lacks {name!r}")
    return request[name]


def _at_least_one(images: Floats) -> Floats:
    """The images, or a black one in place of none: a model's own code need not take an empty batch."""
    return images if len(images) else np.zeros((1, *images.shape[1:]), np.float32)


def _gradient_of_none(images: Floats) -> Pullback:
    """The pullback of an empty batch."""

    def pullback(_: Floats) -> Floats:
        return images

    return pullback


def _checked(logits: Floats, images: Floats) -> Floats:
    if len(logits.shape) != 2 or logits.shape[0] != images.shape[0]:
        raise ModelError(
            f"given images {list(images.shape)}, the model returns {list(logits.shape)}; it must return logits "
            "[images, classes]"
        )
    return logits


def _cause(error: Exception) -> str:
    """The error with the line of the model's code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def listen(path: str) -> socket.socket:
    """A listening socket at a path that only this user can open."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen()
    return listener


def serve(model: Model, listener: socket.socket) -> None:
    """Answers clients, each in a thread of its own, until the listener is closed."""
    lock = threading.Lock()
    while True:
        try:
            stream, _ = listener.accept()
        except OSError:
            return  # Closed: no more clients are wanted.
        threading.Thread(target=_one, args=(model, stream, lock), daemon=True).start()


def _one(model: Model, stream: socket.socket, lock: threading.Lock) -> None:
    with stream:
        answer(model, stream, lock)


@contextlib.contextmanager
def serving(model: Model, threads: int | None = None) -> Iterator[str]:
    """Serves a model in the background, in evaluation mode; gives the socket's path. Afterwards the model is as it was."""
    with tempfile.TemporaryDirectory(prefix="rlnet-") as folder, model.prepare(threads):
        path = os.path.join(folder, "model.sock")
        listener = listen(path)
        threading.Thread(target=serve, args=(model, listener), daemon=True).start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
            listener.close()
