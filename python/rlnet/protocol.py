"""The wire format between the ``rlnet`` program and a model in another process.

Version 1, documented for other languages in ``docs/python/protocol.md``. Messages are JSON objects, each after its
length in bytes (4 bytes, little-endian), over a local stream socket. Arrays do not travel in messages: both sides
map one file (in ``/dev/shm`` where there is one), and a message says at which byte an array begins.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

#: The version that both sides must speak.
VERSION = 1
#: No message is longer. A longer one is a fault of the sender.
LONGEST_MESSAGE = 1 << 20

Floats = npt.NDArray[np.float32]


class ProtocolError(Exception):
    """A message that does not follow the protocol."""


def send(stream: socket.socket, message: dict[str, Any]) -> None:
    """Sends one message."""
    body = json.dumps(message).encode()
    stream.sendall(struct.pack("<I", len(body)) + body)


def receive(stream: socket.socket) -> dict[str, Any] | None:
    """The next message, or ``None`` when the other side has closed the connection."""
    head = _exactly(stream, 4)
    if head is None:
        return None
    (length,) = struct.unpack("<I", head)
    if length > LONGEST_MESSAGE:
        raise ProtocolError(f"a message of {length} bytes; at most {LONGEST_MESSAGE} are allowed")
    body = _exactly(stream, length)
    if body is None:
        raise ProtocolError("the connection was closed inside a message")
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"a message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("a message is not a JSON object")
    return message


def _exactly(stream: socket.socket, count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = stream.recv(count)
        if not part:
            if parts:
                raise ProtocolError("the connection was closed inside a message")
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class SharedArrays:
    """The file that both sides map, and the arrays in it (float32, C order)."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR)
        self._map: mmap.mmap | None = None

    def close(self) -> None:
        """Unmaps and closes the file. The client removes it."""
        if self._map is not None:
            self._map.close()
            self._map = None
        os.close(self._file)

    def read(self, at: int, shape: list[int]) -> Floats:
        """A copy of the array of this shape that begins at byte ``at``."""
        if not isinstance(shape, list) or any(not isinstance(side, int) or side < 0 for side in [at, *shape]):
            raise ProtocolError(f"no array can have the shape {shape} at byte {at}")
        count = math.prod(shape)
        view = np.frombuffer(self._mapped(at + 4 * count), np.float32, count, at)
        return view.reshape(shape).copy()

    def write(self, at: int, array: npt.ArrayLike) -> list[int]:
        """Writes an array from byte ``at`` on and returns its shape."""
        if not isinstance(at, int) or at < 0:
            raise ProtocolError(f"no array begins at byte {at}")
        values = np.ascontiguousarray(array, np.float32)
        view = np.frombuffer(self._mapped(at + values.nbytes), np.float32, values.size, at)
        view[:] = values.reshape(-1)
        return list(values.shape)

    def _mapped(self, end: int) -> mmap.mmap:
        """The mapping, made anew where the client has made the file longer."""
        if self._map is None or len(self._map) < end:
            size = os.fstat(self._file).st_size
            if size < end:
                raise ProtocolError(f"an array ends at byte {end} of a shared file of {size} bytes")
            # An old mapping is left to the garbage collector: arrays may still look into it.
            self._map = mmap.mmap(self._file, size)
        return self._map
