"""The server, asked by a client in Python: no rlnet program is needed."""

import os
import socket
import tempfile

import numpy as np
import pytest

from rlnet import ModelError, as_model, protocol
from rlnet.models import load
from rlnet.server import serving

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


class Client:
    """The program's side of the protocol."""

    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(path)
        handle, self.memory = tempfile.mkstemp()
        os.close(handle)
        self.hello = self.ask(op="hello", protocol=protocol.VERSION, memory=self.memory)

    def ask(self, **request):
        protocol.send(self.stream, request)
        return protocol.receive(self.stream)

    def run(self, op, array, out_shape, **fields):
        array = np.ascontiguousarray(array, np.float32)
        at, out = 0, -(-array.nbytes // 64) * 64
        os.truncate(self.memory, out + 4 * int(np.prod(out_shape)))
        arrays = protocol.SharedArrays(self.memory)
        arrays.write(at, array)
        reply = self.ask(op=op, at=at, out=out, shape=list(array.shape), **fields)
        result = arrays.read(out, reply["shape"]) if reply["ok"] else None
        arrays.close()
        return reply, result


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )


IMAGES = np.random.default_rng(0).random((6, 3, 8, 8), np.float32)


def test_logits_and_gradients_are_those_of_the_module(network):
    network.train()
    with serving(as_model(network, mean=[0.5], std=[0.25]), threads=1) as path:
        client = Client(path)
        assert client.hello["ok"] and client.hello["gradients"], client.hello
        _, logits = client.run("logits", IMAGES, (6, 5))
        forward, again = client.run("forward", IMAGES, (6, 5))
        client.run("forward", IMAGES[::-1], (6, 5))  # Several passes can be open at a time.
        cotangent = np.random.default_rng(1).standard_normal((6, 5)).astype(np.float32)
        _, gradient = client.run("backward", cotangent, IMAGES.shape, **{"pass": forward["pass"]})
        assert client.ask(op="forget", **{"pass": forward["pass"]})["ok"]
        client.stream.close()
    network.eval()
    images = torch.from_numpy(IMAGES).requires_grad_()
    expected = network((images - 0.5) / 0.25)
    (slope,) = torch.autograd.grad(expected, images, torch.from_numpy(cotangent))
    assert np.array_equal(logits, expected.detach().numpy()) and np.array_equal(again, logits)
    assert np.array_equal(gradient, slope.numpy())


def test_the_module_is_as_it_was_afterwards(network):
    network.train()
    model = as_model(network)
    with model.prepare(1):
        assert not network.training and not network[0].weight.requires_grad
    assert network.training and network[1].training and network[0].weight.requires_grad


def test_half_precision_models_are_taken_in(network):
    model = as_model(network.to(torch.float64))
    assert model.logits(IMAGES).dtype == np.float32
    logits, pullback = as_model(network.to(torch.bfloat16)).forward(IMAGES)
    assert logits.dtype == np.float32 and pullback(np.ones_like(logits)).shape == IMAGES.shape


def test_the_fingerprint_follows_weights_and_scaling(network):
    first = as_model(network).fingerprint
    assert as_model(network).fingerprint == first
    assert as_model(network, mean=[0.5], std=[0.5]).fingerprint != first
    with torch.no_grad():
        network[0].weight[0, 0, 0, 0] += 1e-3
    assert as_model(network).fingerprint != first


@pytest.mark.parametrize("fault, said", [
    (lambda images: images, "must return logits"),
    (lambda images: np.log(images[:, :, :, :, 0]), "IndexError"),
])
def test_a_model_that_fails_says_why_and_the_server_lives_on(fault, said):
    with serving(as_model(fault, gradients=False)) as path:
        client = Client(path)
        reply, _ = client.run("logits", IMAGES, (6, 5))
        assert not reply["ok"] and reply["kind"] == "model" and said in reply["error"], reply
        assert client.ask(op="nonsense")["kind"] == "protocol"
        assert client.ask(op="backward", at=0, out=0, shape=[1], **{"pass": 7})["kind"] == "protocol"
        assert "lacks 'pass'" in client.ask(op="forget")["error"]


def test_another_version_is_refused_with_the_cure(network):
    with serving(as_model(network)) as path:
        client = Client.__new__(Client)
        client.stream = socket.socket(socket.AF_UNIX)
        client.stream.connect(path)
        reply = client.ask(op="hello", protocol=99, memory="")
        assert not reply["ok"] and "install" in reply["error"]


def test_arrays_outside_the_shared_file_are_refused(network):
    with serving(as_model(network)) as path:
        client = Client(path)
        for at, shape in [(0, [1 << 40]), (-4, [1]), (0, [-1, 3]), (1 << 60, [1])]:
            reply = client.ask(op="logits", at=at, out=0, shape=shape)
            assert not reply["ok"] and reply["kind"] == "protocol", (at, shape, reply)


def test_a_model_is_never_asked_about_no_images(network):
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with serving(as_model(network), threads=1) as path:
        seen.clear()
        client = Client(path)
        for op in ["logits", "forward"]:
            reply, logits = client.run(op, IMAGES[:0], (1, 5))
            assert reply["ok"] and logits.shape == (0, 5), reply
        back, gradient = client.run("backward", logits, (1, 3, 8, 8), **{"pass": reply["pass"]})
        assert back["ok"] and gradient.shape == (0, 3, 8, 8), back
        client.stream.close()
    assert seen == [1, 1]


def test_functions_of_numpy_have_no_gradients():
    model = as_model(lambda images: images.mean((2, 3)), gradients=False)
    assert not model.gradients
    with pytest.raises(ModelError, match="no gradients"):
        model.forward(IMAGES)


def test_what_is_no_model_is_refused_with_the_cure(tmp_path):
    for wrong, said in [(3, "torch.nn.Module"), ("gone.onnx", "no file"), (tmp_path / "x", "no file")]:
        with pytest.raises(ModelError, match=said):
            as_model(wrong)
    weights = tmp_path / "net.pth"
    weights.write_bytes(b"")
    with pytest.raises(ModelError, match="--factory"):
        as_model(weights)
    with pytest.raises(ModelError, match="belong together"):
        as_model(lambda x: x, mean=[0.5])
    file = tmp_path / "mine.py"
    file.write_text("def make():\n    return 3\n")
    assert load(f"{file}:make") == 3
    with pytest.raises(ModelError, match="it defines: make"):
        load(f"{file}:made")
