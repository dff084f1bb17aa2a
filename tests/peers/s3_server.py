#!/usr/bin/env python3
"""An S3-compatible server for tests: moto, on a port of this machine, with an empty bucket `bucket`.

    python3 tests/peers/s3_server.py

Installs moto in a virtual environment under the user's cache folder (--venv to choose; 140 MB). Prints
`installed` and its address, then obeys lines on standard input: `stop` closes the port and keeps the objects, `start`
opens it again, `list` prints the objects' names in one line; the end of input ends it.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from venv_of import inside_venv

PACKAGES = ["moto==5.2.5", "flask==3.1.3", "flask-cors==6.0.5", "PyYAML==6.0.3"]
BUCKET = "bucket"


def main():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=cache / "rlnet" / "peers-moto")
    inside_venv(parser.parse_args().venv, PACKAGES)
    print("installed", flush=True)
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def serve(port):
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        return server

    server = serve(0)
    port = server.get_host_and_port()[1]
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    print(f"http://127.0.0.1:{port}", flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "stop":
            server.stop()
        elif command == "start":
            server = serve(port)
        elif command == "list":
            keys = backend.buckets[BUCKET].keys if BUCKET in backend.buckets else {}
            print(" ".join(sorted(keys)), flush=True)
            continue
        print("done", flush=True)
    server.stop()


if __name__ == "__main__":
    main()
