#!/usr/bin/env python3
"""A plan of `rlnet export --format plan`, computed by a real two-party engine: what it costs, and what it answers.

    python3 tests/peers/private_inference.py PLAN.json [PLAN.json ...] [--protocol cheetah,semi2k]
        [--images FILE.npz|test_batch.bin] [--limit N] [--batch N] [--mask gather|select] [--repeat N] [--json FILE]

The engine is SPU 0.9.5 (PyPI; CPython 3.10 or 3.11), ring of 64 bits with 18 fraction bits, in an environment of its
own below ~/.cache/rlnet. Two processes, server (its weights) and client (its image), talk over TCP on loopback, through
proxies that count what passes. The second inference on a connection is counted: the first has the one-time set-up.
Protocols: Cheetah (semi-honest, no dealer) and SEMI2K (semi-honest, online phase, the server deals the correlated
randomness: "trusted dealer", whose bytes are left out). Bytes repeat and may be compared; CPU seconds do not.
Cheetah makes oblivious transfers in advance, 10,485,760 at a time (YaclFerretOTeAdapter in SPU's sources). The inference
that uses up a supply also pays for the next one, with 641 more messages of each party. `--repeat 2` measures every plan
twice on its connection and writes the measurement with fewer bytes: without a refill, where one of the two has none.

--images holds `images` [N, 3, H, W] in [0, 1] and, for an accuracy, `labels` [N], or is a file of CIFAR-10's binary
version; without it one image of noise is used. `--mask select` computes every ReLU and selects, to show what that costs. The result is written as JSON, one
entry a plan and protocol, for `rlnet report --measured FILE`.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import resource
import socket
import sys
import threading
from pathlib import Path

from venv_of import inside_venv

PACKAGES = ["spu==0.9.5", "onnxruntime==1.20.1", "safetensors==0.4.5"]
FORMAT, VERSION = "rlnet-private-inference", 1
FIELD_BITS, FRACTION_BITS = 64, 18
PROTOCOLS = {
    "cheetah": ("CHEETAH", "semi-honest, two parties, no dealer"),
    "semi2k": ("SEMI2K", "semi-honest, two parties, online phase with a trusted dealer"),
}
SERVER, CLIENT = 0, 1


# ---- counting ----------------------------------------------------------------------------------------------------


class Proxy:
    """Passes TCP streams to `port` on; counts bytes both ways, and the engine's messages (brpc frames) forth."""

    def __init__(self, port):
        self.target, self.forth, self.back, self.messages = port, 0, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except ConnectionRefusedError:
                near.close()  # the other party is not up yet; the engine tries again
                continue
            for one, other, forth in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.pump, args=(one, other, forth), daemon=True).start()

    def pump(self, one, other, forth):
        head, left = b"", 0
        try:
            while data := one.recv(1 << 16):
                if forth:
                    self.forth += len(data)
                    # A frame is "PRPC", the size of what follows its head of 12 bytes, and the size of its meta.
                    at = 0
                    while at < len(data):
                        if left:
                            step = min(left, len(data) - at)
                            left, at = left - step, at + step
                            continue
                        step = min(12 - len(head), len(data) - at)
                        head, at = head + data[at : at + step], at + step
                        if len(head) == 12:
                            assert head[:4] == b"PRPC", head
                            self.messages += 1
                            left, head = int.from_bytes(head[4:8], "big"), b""
                else:
                    self.back += len(data)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


# ---- the plan ----------------------------------------------------------------------------------------------------


def read_plan(path):
    from safetensors.numpy import load_file

    plan = json.loads(path.read_text())
    if (plan.get("format"), plan.get("version")) != ("rlnet-plan", 1):
        sys.exit(f"{path}: not a plan that this program reads (rlnet-plan, version 1); export it again")
    tensors = load_file(path.parent / plan["weights"])
    masks = {step["mask"]: tensors.pop(step["mask"]) for step in plan["operations"] if step["op"] == "relu"}
    return plan, tensors, masks


def network(plan, masks, mask="gather"):
    """The plan as a JAX function of weights and normalised images [N, 3, H, W]."""
    import jax.numpy as jnp
    import numpy as np
    from jax import lax, nn

    def relu(x, units):
        if not units.any():
            return x
        if units.all():
            return nn.relu(x)
        if mask == "select":
            return jnp.where(units.reshape(x.shape[1:]) == 1, nn.relu(x), x)
        kept, dropped = np.flatnonzero(units), np.flatnonzero(units == 0)
        back = np.argsort(np.concatenate([kept, dropped]))
        flat = x.reshape(x.shape[0], -1)
        both = jnp.concatenate([nn.relu(flat[:, kept]), flat[:, dropped]], axis=1)
        return both[:, back].reshape(x.shape)

    def run(weights, images):
        values = [images]
        for step in plan["operations"]:
            x, op = values[step["inputs"][0]], step["op"]
            y = values[step["inputs"][-1]]
            n, padding = x.shape[0], [(step.get("padding", 0),) * 2] * 2
            if op == "conv":
                out = lax.conv_general_dilated(
                    x, weights[step["weight"]], (step["stride"],) * 2, padding,
                    dimension_numbers=("NCHW", "OIHW", "NCHW"), feature_group_count=step["groups"],
                )
                if step["bias"]:
                    out = out + weights[step["bias"]].reshape(1, -1, 1, 1)
            elif op == "affine":
                out = x * weights[step["scale"]] + weights[step["shift"]]
            elif op == "relu":
                out = relu(x, masks[step["mask"]])
            elif op == "add":
                out = x + y
            elif op == "max_pool":
                window = (1, 1) + (step["kernel"],) * 2
                strides = (1, 1) + (step["stride"],) * 2
                out = lax.reduce_window(x, -jnp.inf, lax.max, window, strides, [(0, 0)] * 2 + padding)
            elif op == "scores":
                heads = step["heads"]
                c, places = x.shape[1] // heads, x.shape[2] * x.shape[3]
                q, k = (value.reshape(n, heads, c, places) for value in (x, y))
                out = jnp.matmul(q.transpose(0, 1, 3, 2), k) * (1 / (c**0.5 * places))
            elif op == "mix":
                values_of = y.reshape(n, x.shape[1], -1, x.shape[3])
                out = jnp.matmul(values_of, x.transpose(0, 1, 3, 2)).reshape(y.shape)
            elif op == "mean":
                out = x.mean((2, 3))
            elif op == "linear":
                out = x @ weights[step["weight"]].T + weights[step["bias"]]
            values.append(out)
        return values[-1]

    return run


# ---- the two parties ---------------------------------------------------------------------------------------------


def runtime_config(protocol):
    from spu import libspu

    config = libspu.RuntimeConfig(
        protocol=getattr(libspu.ProtocolKind, PROTOCOLS[protocol][0]),
        field=libspu.FieldType.FM64,
        fxp_fraction_bits=FRACTION_BITS,
    )
    # The server knows its weights and the client its image: Cheetah then encrypts one factor, not both.
    config.experimental_enable_colocated_optimization = protocol == "cheetah"
    return config


def party(rank, addresses, protocol, pipe):
    """One of the two: runs what its pipe says, and reports its CPU seconds."""
    import spu
    from spu.libspu import link

    desc = link.Desc()
    desc.recv_timeout_ms = 600_000
    for number, address in enumerate(addresses):
        desc.add_party(f"party{number}", address)
    runtime = spu.Runtime(link.create_brpc(desc, rank), runtime_config(protocol))
    pipe.send("up")
    while (job := pipe.recv()) is not None:
        executable, inputs = job
        for name, share in inputs.items():
            runtime.set_var(name, share)
        before = resource.getrusage(resource.RUSAGE_SELF)
        runtime.run(executable)
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        pipe.send((spent, [runtime.get_var(name) for name in executable.output_names]))


class Engine:
    """Two parties of a protocol, connected through counting proxies."""

    def __init__(self, protocol):
        import spu

        ports = [free_port(), free_port()]
        self.proxies = [Proxy(port) for port in ports]
        self.io = spu.Io(2, runtime_config(protocol))
        self.pipes, self.processes, self.is_warm = [], [], False
        start = multiprocessing.get_context("spawn")
        for rank in (SERVER, CLIENT):
            # Each listens on its own port, and reaches the other one through that one's proxy.
            seen = [ports[other] if other == rank else self.proxies[other].port for other in (SERVER, CLIENT)]
            near, far = start.Pipe()
            addresses = [f"127.0.0.1:{port}" for port in seen]
            process = start.Process(target=party, args=(rank, addresses, protocol, far), daemon=True)
            process.start()
            self.pipes.append(near)
            self.processes.append(process)
        assert [pipe.recv() for pipe in self.pipes] == ["up", "up"]

    def counts(self):
        """Bytes from the server and from the client, and their messages."""
        to_server, to_client = self.proxies[SERVER], self.proxies[CLIENT]
        # What goes back on a connection are acknowledgements of the other side.
        return [
            to_client.forth + to_server.back, to_server.forth + to_client.back,
            to_client.messages, to_server.messages,
        ]

    def compile(self, run, weights, images):
        from spu.utils import frontend
        import spu

        flat = list(weights)
        names = [f"in{at}" for at in range(len(flat) + 1)]
        visible = [spu.Visibility.VIS_SECRET] * len(names)

        def positional(*arguments):
            return run(dict(zip(flat, arguments)), arguments[-1])

        executable, _ = frontend.compile(
            frontend.Kind.JAX, positional, [*weights.values(), images], {}, names, visible,
            lambda outputs: [f"out{at}" for at in range(len(outputs))],
        )
        return executable

    def run(self, executable, weights, images):
        """Logits of an inference, what it sent, and its CPU seconds. The first on a connection is done twice: the
        set-up of the connection is no part of it."""
        import spu

        owned = [(value, SERVER) for value in weights.values()] + [(images, CLIENT)]
        shares = [self.io.make_shares(value, spu.Visibility.VIS_SECRET, owner) for value, owner in owned]
        inputs = [{f"in{at}": both[rank] for at, both in enumerate(shares)} for rank in (SERVER, CLIENT)]
        for _ in range(1 if self.is_warm else 2):
            before = self.counts()
            for pipe, own in zip(self.pipes, inputs):
                pipe.send((executable, own))
            answers = [pipe.recv() for pipe in self.pipes]
            sent = [now - then for now, then in zip(self.counts(), before)]
        self.is_warm = True
        logits = self.io.reconstruct([outputs[0] for _, outputs in answers])
        return logits, sent, [spent for spent, _ in answers]

    def stop(self):
        for pipe, process in zip(self.pipes, self.processes):
            pipe.send(None)
            process.join(10)
            process.kill()


# ---- what is measured --------------------------------------------------------------------------------------------


def measure(engine, protocol, path, options):
    import numpy as np
    import spu

    plan, weights, masks = read_plan(path)
    images, labels = load_images(options.images, options.limit, plan)
    mean, std = (np.float32(plan[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    normalised = (images - mean) / std
    batch = options.batch or 1
    run = network(plan, masks, options.mask)
    without = network(plan, {name: units * 0 for name, units in masks.items()})
    float_logits = np.concatenate([np.array(run(weights, part)) for part in split(normalised, 64)])

    first = normalised[:1]
    one = engine.compile(run, weights, first)
    logits, sent, spent = engine.run(one, weights, first)
    linear = sent
    if plan["relus"]:
        _, linear, _ = engine.run(engine.compile(without, weights, first), weights, first)
    all_logits = [logits]
    rest = normalised[1:]
    if len(rest):
        whole = one if batch == 1 else engine.compile(run, weights, rest[:batch])
        for part in split(rest, batch):
            short = batch - len(part)
            padded = np.concatenate([part, np.repeat(part[:1], short, 0)]) if short else part
            all_logits.append(engine.run(whole, weights, padded)[0][: len(part)])
    logits = np.concatenate(all_logits)
    result = {
        "engine": "SPU",
        "engine_version": importlib.metadata.version("spu"),
        "protocol": protocol,
        "security": PROTOCOLS[protocol][1],
        "field_bits": FIELD_BITS,
        "fraction_bits": FRACTION_BITS,
        "mask": options.mask,
        "model": plan["model"],
        "arch": plan["arch"],
        "branch": plan["branch"],
        "relus": plan["relus"],
        "relus_total": sum(units.size for units in masks.values()),
        "relu_layers": sum(1 for units in masks.values() if units.any()),
        "macs": plan["macs"],
        "bytes_from_server": sent[0],
        "bytes_from_client": sent[1],
        "linear_bytes": linear[0] + linear[1],
        "relu_bytes": sum(sent[:2]) - sum(linear[:2]),
        # The engine acknowledges each message by a frame of its own, on the connection that goes the other way.
        "messages_from_server": sent[2] // 2,
        "messages_from_client": sent[3] // 2,
        "cpu_seconds_server": round(spent[0], 3),
        "cpu_seconds_client": round(spent[1], 3),
        "images": len(images),
        "largest_logit_error": float(np.abs(logits - float_logits).max()),
        "same_class": int((logits.argmax(1) == float_logits.argmax(1)).sum()),
    }
    if labels is not None:
        result["right"] = int((logits.argmax(1) == labels).sum())
        result["right_float"] = int((float_logits.argmax(1) == labels).sum())
    if options.logits:
        result["logits"] = logits.tolist()
    return result


def split(values, size):
    return [values[at : at + size] for at in range(0, len(values), size)]


def load_images(path, limit, plan):
    import numpy as np

    if path is None:
        return np.random.default_rng(0).random((1, *plan["input"]), dtype=np.float32), None
    if path.suffix == ".bin":
        # A record of CIFAR-10's binary version is the label and the pixels, channel by channel.
        records = np.fromfile(path, np.uint8).reshape(-1, 3073)[:limit]
        images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)
        return images, records[:, 0].astype(np.int64)
    held = np.load(path)
    return held["images"][:limit].astype(np.float32), held["labels"][:limit] if "labels" in held else None


def check_onnx(path, plan_path, reference):
    """The same branch as ONNX, by onnxruntime, against the plan and somebody else's logits: the largest differences."""
    import numpy as np
    import onnxruntime

    plan, weights, masks = read_plan(plan_path)
    images = np.random.default_rng(1).random((3, *plan["input"]), dtype=np.float32)
    mean, std = (np.float32(plan[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    by_onnx = session.run(None, {"images": images})[0]
    by_plan = np.array(network(plan, masks)(weights, (images - mean) / std))
    found = {"onnx_and_plan": float(np.abs(by_onnx - by_plan).max())}
    if reference:
        said = json.loads(Path(reference[0]).read_text())
        images = np.float32(said["images"]).reshape(-1, *plan["input"])
        by_onnx = session.run(None, {"images": images})[0]
        found["onnx_and_reference"] = float(np.abs(by_onnx - np.float32(said[reference[1]]).reshape(by_onnx.shape)).max())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("plans", type=Path, nargs="+", metavar="PLAN.json")
    parser.add_argument("--protocol", default="cheetah,semi2k")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--limit", type=int, help="use only the first N images")
    parser.add_argument("--batch", type=int, default=1, help="images of one pass beyond the first, which is alone")
    parser.add_argument("--repeat", type=int, default=1, help="measure N times, write the one with the fewest bytes")
    parser.add_argument("--mask", choices=["gather", "select"], default="gather")
    parser.add_argument("--logits", action="store_true", help="write the engine's logits too")
    parser.add_argument("--onnx", type=Path, help="only compare this ONNX file with the (one) plan")
    parser.add_argument("--reference", nargs=2, metavar=("FILE.json", "KEY"), help="images and logits for --onnx")
    parser.add_argument("--json", type=Path)
    if sys.version_info[:2] not in ((3, 10), (3, 11)):
        print("SKIPPED: SPU 0.9.5 has packages for CPython 3.10 and 3.11 only")
        return 0
    inside_venv(Path.home() / ".cache/rlnet/peers-spu", PACKAGES)
    options = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if options.onnx:
        print(json.dumps(check_onnx(options.onnx, options.plans[0], options.reference)))
        return 0
    if options.repeat < 1:
        sys.exit(f"--repeat {options.repeat}: measure at least once")
    unknown = set(options.protocol.split(",")) - set(PROTOCOLS)
    if unknown:
        sys.exit(f"--protocol {options.protocol}: write cheetah, semi2k, or both with a comma")
    results = []
    for protocol in options.protocol.split(","):
        engine = Engine(protocol)
        for path in options.plans:
            repeats = []
            for _ in range(options.repeat):
                repeats.append(measure(engine, protocol, path, options))
                print(json.dumps({key: value for key, value in repeats[-1].items() if key != "logits"}), flush=True)
            results.append(min(repeats, key=lambda found: found["bytes_from_server"] + found["bytes_from_client"]))
            if options.json:
                text = json.dumps({"format": FORMAT, "version": VERSION, "measurements": results}, indent=1)
                options.json.write_text(text + "\n")
        engine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
