#!/usr/bin/env python3
"""A folder of `rlnet export --format vnnlib`, looked at by programs of others.

    python3 tests/peers/verify.py logits FOLDER >MARGINS.json        # onnxruntime at the lowest corner of each ball
    python3 tests/peers/verify.py marabou FOLDER --out RESULTS.csv   # verdicts of Marabou, a complete verifier

Both go into a virtual environment of their own (60 MB fetched). Marabou 2.0.0 has packages for CPython 3.8 to 3.11. Its own
reader of ONNX knows no Gather, which masks are made of; so the file is turned here into what Marabou decides: linear
equations of the inputs and of the ReLUs before, and one ReLU constraint for each kept unit. That is small where few
ReLUs are kept.
"""

import argparse
import csv
import json
import re
import sys
import time
from pathlib import Path

from venv_of import inside_venv

PACKAGES = {
    "logits": ["onnxruntime==1.20.1", "numpy==2.2.6"],
    "marabou": ["maraboupy==2.0.0", "onnx==1.17.0", "numpy==1.26.4"],
}
BOUND = re.compile(r"\(assert \((>=|<=) X_(\d+) ([-0-9.e]+)\)\)")
ROBUST = re.compile(r"\(and \(>= Y_(\d+) Y_(\d+)\)\)")


def read_property(path):
    """Lowest and highest inputs, the label, and the classes that break it."""
    text = path.read_text()
    bounds = {">=": {}, "<=": {}}
    for side, place, value in BOUND.findall(text):
        bounds[side][int(place)] = float(value)
    targets = [(int(target), int(label)) for target, label in ROBUST.findall(text)]
    ends = [[bounds[side][place] for place in range(len(bounds[side]))] for side in (">=", "<=")]
    return *ends, targets[0][1], [target for target, _ in targets]


def instances(folder):
    for net, prop, seconds in csv.reader((folder / "instances.csv").open()):
        yield folder / net, folder / prop, prop, float(seconds)


def logits(options):
    import numpy as np
    import onnxruntime

    found = {}
    for net, path, name, _ in instances(options.folder):
        session = onnxruntime.InferenceSession(net.read_bytes(), providers=["CPUExecutionProvider"])
        shape = [side if isinstance(side, int) else 1 for side in session.get_inputs()[0].shape]
        low, _, label, targets = read_property(path)
        said = session.run(None, {session.get_inputs()[0].name: np.float32(low).reshape(shape)})[0][0]
        margin = min(float(said[label] - said[target]) for target in targets)
        found[int(Path(name).stem.rsplit("-", 1)[1])] = {"margin": margin, "largest": float(np.abs(said).max())}
    print(json.dumps(found))


class Affine:
    """Values as affine functions: [1 + variables, *shape], the constant first."""

    def __init__(self, low, high):
        import numpy as np

        self.low, self.high = list(low), list(high)
        self.relus = []
        self.np = np

    def inputs(self, shape):
        np = self.np
        count = len(self.low)
        rows = np.zeros((count + 1, count))
        rows[1:] = np.eye(count)
        return rows.reshape(count + 1, *shape)

    def padded(self, value):
        """With a coefficient for every variable there is by now."""
        missing = 1 + len(self.low) - len(value)
        return self.np.concatenate([value, self.np.zeros((missing, *value.shape[1:]))]) if missing else value

    def relu(self, value):
        """New variables for the units whose sign the bounds leave open."""
        np = self.np
        shape = value.shape[1:]
        flat = self.padded(value).reshape(1 + len(self.low), -1)
        centre, radius = (np.array(self.low) + self.high) / 2, (np.array(self.high) - self.low) / 2
        middle, reach = flat[0] + centre @ flat[1:], radius @ abs(flat[1:])
        result = np.zeros_like(flat)
        rows, place = [result], len(self.low)
        for unit in range(flat.shape[1]):
            if middle[unit] - reach[unit] >= 0:
                result[:, unit] = flat[:, unit]
            elif middle[unit] + reach[unit] > 0:
                place += 1
                own = np.zeros((1, flat.shape[1]))
                own[0, unit] = 1
                rows.append(own)
                self.relus.append((flat[:, unit], place - 1))
                self.low.append(0.0)
                self.high.append(middle[unit] + reach[unit])
        return np.concatenate(rows).reshape(-1, *shape)


def conv(np, x, weight, bias, strides, pads, group):
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    out, per, kh, kw = weight.shape
    height, width = (x.shape[2] - kh) // strides[0] + 1, (x.shape[3] - kw) // strides[1] + 1
    result = np.zeros((len(x), out, height, width))
    for g in range(group):
        mine, theirs = slice(g * out // group, (g + 1) * out // group), slice(g * per, (g + 1) * per)
        for i in range(kh):
            for j in range(kw):
                part = x[:, theirs, i : i + strides[0] * height : strides[0], j : j + strides[1] * width : strides[1]]
                result[:, mine] += np.einsum("bchw,oc->bohw", part, weight[mine, :, i, j], optimize=True)
    if bias is not None:
        result[0] += bias.reshape(-1, 1, 1)
    return result


def linearised(path, low, high):
    """The logits as affine functions, and the ReLUs that they are functions of."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shape = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim][1:]
    affine = Affine(low, high)
    values = {graph.input[0].name: affine.inputs(shape)}
    for node in graph.node:
        given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        names = [name for name in node.input if name]
        x = [values[name] if name in values else known[name].astype(float) for name in names]
        isvalue = [name in values for name in names]
        if node.op_type == "Conv":
            bias = x[2] if len(x) > 2 else None
            out = conv(np, x[0], x[1], bias, given["strides"], given["pads"], given.get("group", 1))
        elif node.op_type == "Gemm":
            out = x[0] @ (x[1].T if given.get("transB") else x[1])
            out[0] += x[2]
        elif node.op_type in ("Add", "Sub") and all(isvalue):
            a, b = affine.padded(x[0]), affine.padded(x[1])
            out = a + b if node.op_type == "Add" else a - b
        elif node.op_type in ("Add", "Sub"):
            out = x[0].copy()
            sign = 1 if node.op_type == "Add" else -1
            out[0] += sign * np.broadcast_to(x[1].reshape(x[1].shape[1:] if x[1].ndim == out.ndim else x[1].shape), out.shape[1:])
        elif node.op_type in ("Mul", "Div"):
            out = x[0] * x[1] if node.op_type == "Mul" else x[0] / x[1]
        elif node.op_type == "Relu":
            out = affine.relu(x[0])
        elif node.op_type == "Reshape":
            wanted = known[node.input[1]].astype(int)
            out = x[0].reshape(len(x[0]), *[x[0].shape[1:][place - 1] if side == 0 else side
                                            for place, side in enumerate(wanted) if place > 0])
        elif node.op_type == "Gather":
            out = x[0][:, known[node.input[1]].astype(int)]
        elif node.op_type == "Concat":
            out = np.concatenate([affine.padded(part) for part in x], axis=1)
        elif node.op_type in ("GlobalAveragePool", "ReduceMean"):
            keep = node.op_type == "GlobalAveragePool" or given.get("keepdims", 1) == 1
            out = x[0].mean((2, 3), keepdims=keep)
        elif node.op_type == "Flatten":
            out = x[0].reshape(len(x[0]), -1)
        else:
            sys.exit(f"{path}: {node.op_type} is not known here")
        values[node.output[0]] = out
    return affine.padded(values[graph.output[0].name]), affine


def marabou(options):
    from maraboupy import Marabou, MarabouCore

    lines = []
    for net, path, name, seconds in instances(options.folder):
        low, high, label, targets = read_property(path)
        started = time.monotonic()
        rows, affine = linearised(net, low, high)
        verdict = "unsat"
        for target in targets:
            query = MarabouCore.InputQuery()
            count = len(affine.low)
            # A variable for each input and ReLU, one before each ReLU, and one for the margin.
            query.setNumberOfVariables(count + len(affine.relus) + 1)
            for place, ends in enumerate(zip(affine.low, affine.high)):
                query.setLowerBound(place, ends[0])
                query.setUpperBound(place, ends[1])

            def equal(row, variable):
                equation = MarabouCore.Equation()
                for place, factor in enumerate(row[1:]):
                    if factor:
                        equation.addAddend(float(factor), place)
                equation.addAddend(-1.0, variable)
                equation.setScalar(-float(row[0]))
                query.addEquation(equation)

            for place, (row, after) in enumerate(affine.relus):
                equal(row, count + place)
                MarabouCore.addReluConstraint(query, count + place, after)
            margin = count + len(affine.relus)
            equal(rows[:, target] - rows[:, label], margin)
            query.setLowerBound(margin, 0.0)
            left = max(1, int(seconds - (time.monotonic() - started)))
            answer = MarabouCore.solve(query, Marabou.createOptions(verbosity=0, timeoutInSeconds=left), "")[0]
            if answer != "unsat":
                verdict = "sat" if answer == "sat" else "timeout"
                break
        lines.append([net.name, name, verdict, f"{time.monotonic() - started:.3f}"])
        print(*lines[-1], len(affine.relus), "open ReLUs", file=sys.stderr)
    with options.out.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=PACKAGES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results.csv"))
    # Before the arguments are read: `WHAT --help` installs.
    what = sys.argv[1] if len(sys.argv) > 1 else None
    if what == "marabou" and not (3, 8) <= sys.version_info[:2] <= (3, 11):
        print("SKIPPED: Marabou 2.0.0 has packages for CPython 3.8 to 3.11 only", file=sys.stderr)
        return
    if what in PACKAGES:
        inside_venv(Path.home() / f".cache/rlnet/peers-{what}", PACKAGES[what])
    options = parser.parse_args()
    globals()[options.what](options)


if __name__ == "__main__":
    main()
