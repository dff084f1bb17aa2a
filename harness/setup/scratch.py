"""Prints the folder in which tests keep temporary files: in memory, where there is room and programs may run there.

Tests write, sync and delete thousands of small files.
"""

import os
import shutil
import subprocess
import tempfile

MEMORY = "/dev/shm"
ROOM = 4 << 30


def usable(folder: str) -> bool:
    """Whether the folder has room, and runs a program."""
    try:
        if shutil.disk_usage(folder).free < ROOM:
            return False
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            program = os.path.join(inside, "program")
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n")
            os.chmod(program, 0o700)
            return subprocess.run([program], check=False).returncode == 0
    except OSError:
        return False


print(MEMORY if "TMPDIR" not in os.environ and usable(MEMORY) else tempfile.gettempdir())
