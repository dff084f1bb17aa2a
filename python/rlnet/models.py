"""Models of every framework behind one interface: logits, and the product of a cotangent with the Jacobian."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .protocol import Floats


class ModelError(Exception):
    """A model that cannot be served, and what to do about it."""


#: Computes the gradient of ``sum(cotangent * logits)`` with respect to the images of the pass that it belongs to.
Pullback = Callable[[Floats], Floats]


@runtime_checkable
class Model(Protocol):
    """What the server asks a model for. Images are ``[N, 3, H, W]`` float32 in ``[0, 1]``, logits ``[N, classes]``."""

    name: str
    #: The framework with its version, for the record.
    framework: str
    #: Changes when the model's answers may change: part of the identity of every result.
    fingerprint: str
    #: Whether ``forward`` is there. Models without gradients take part in black-box attacks only.
    gradients: bool

    def logits(self, images: Floats) -> Floats:
        """Logits of the images."""

    def forward(self, images: Floats) -> tuple[Floats, Pullback]:
        """Logits of the images, and the pullback of this pass. The pullback may be called more than once."""

    def prepare(self, threads: int | None) -> contextlib.AbstractContextManager[None]:
        """Puts the model into evaluation mode, and back when the context ends."""


def as_model(
    model: Any,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    device: str | None = None,
    gradients: bool | None = None,
) -> Model:
    """Wraps a ``torch.nn.Module``, a JAX function, a NumPy function or the path of an ONNX or ``.pt2`` file.

    ``mean`` and ``std`` (one value a channel, of images in ``[0, 1]``) are for models that expect normalised images.
    ``gradients=False`` serves logits only, which is all that a NumPy function has.
    """
    if isinstance(model, Model):
        return model
    scale = _normalisation(mean, std)
    if isinstance(model, (str, Path)):
        model, file_name = _from_file(Path(model)), Path(model).stem
        name = name or file_name
    if "torch" in sys.modules:
        import torch

        if isinstance(model, torch.nn.Module):
            return TorchModel(model, scale, name or type(model).__name__, device, gradients is not False)
    if not callable(model):
        raise ModelError(
            f"a {type(model).__name__} is no model: pass a torch.nn.Module, a function from images [N, 3, H, W] "
            "to logits [N, classes], or the path of an .onnx or .pt2 file"
        )
    title = name or str(getattr(model, "__name__", type(model).__name__))
    if gradients is None:
        gradients = "jax" in sys.modules
    return JaxModel(model, scale, title) if gradients else ArrayModel(model, scale, title)


def load(spec: str) -> Any:
    """The model of ``FILE.py:factory``: what the factory returns, or the object itself where it is no function.

    This runs the file. Evaluate only code from people you trust.
    """
    path, separator, attribute = spec.rpartition(":")
    if not separator or not path.endswith(".py"):
        raise ModelError(f"write FILE.py:factory, where factory() returns the model; this is {spec!r}")
    if not Path(path).is_file():
        raise ModelError(f"there is no file {path}")
    module_spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if module_spec is None or module_spec.loader is None:
        raise ModelError(f"{path} cannot be read as Python")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    # As for a script: modules beside the file can be imported.
    sys.path.insert(0, str(Path(path).resolve().parent))
    module_spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ModelError(f"{path} defines no {attribute!r}; it defines: {', '.join(names)}")
    found = getattr(module, attribute)
    is_factory = inspect.isclass(found) or (inspect.isfunction(found) and not inspect.signature(found).parameters)
    return found() if is_factory else found


def load_state(model: Any, path: Path) -> Any:
    """Loads a ``state_dict`` (a ``.pth`` file) into a module. Nothing in the file is executed."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise ModelError(f"{path} holds a {type(state).__name__}, not a state_dict")
    # torch.nn.DataParallel puts `module.` before every name.
    state = {key.removeprefix("module."): value for key, value in state.items()}
    model.load_state_dict(state)
    return model


class TorchModel:
    """A ``torch.nn.Module`` on its own device, in its own floating-point type."""

    def __init__(self, module: Any, scale: Scale | None, name: str, device: str | None, gradients: bool) -> None:
        import torch

        self._torch = torch
        self._module = module.to(device) if device else module
        self._scale = scale
        self.name = name
        self.framework = f"torch {torch.__version__}"
        self.gradients = gradients
        tensors = [*module.parameters(), *module.buffers()]
        floats = [tensor for tensor in tensors if tensor.is_floating_point()]
        self._device = tensors[0].device if tensors else torch.device(device or "cpu")
        self._dtype = floats[0].dtype if floats else torch.float32
        self.fingerprint = self._hash()

    def _hash(self) -> str:
        digest = hashlib.sha256(f"{type(self._module).__qualname__} {self._scale}".encode())
        with contextlib.suppress(OSError, TypeError):
            digest.update(inspect.getsource(type(self._module)).encode())
        for key, value in sorted(self._module.state_dict().items()):
            if not self._torch.is_tensor(value):
                continue
            digest.update(f"{key} {value.dtype} {list(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(self._torch.uint8).numpy().tobytes() if flat.numel() else b"")
        return digest.hexdigest()

    def _pass(self, images: Any) -> Any:
        torch = self._torch
        if self._scale is not None:
            mean, std = (torch.tensor(side, device=self._device).view(1, -1, 1, 1) for side in self._scale)
            images = (images - mean) / std
        logits = self._module(images.to(self._dtype))
        if not torch.is_tensor(logits):
            raise ModelError(f"the model returns a {type(logits).__name__}; it must return logits [images, classes]")
        return logits.float()

    def _images(self, images: Floats) -> Any:
        return self._torch.from_numpy(images).to(self._device)

    def logits(self, images: Floats) -> Floats:
        with self._torch.no_grad():
            return _array(self._pass(self._images(images)))

    def forward(self, images: Floats) -> tuple[Floats, Pullback]:
        torch = self._torch
        variable = self._images(images).requires_grad_(True)
        with torch.enable_grad():
            logits = self._pass(variable)

        def pullback(cotangent: Floats) -> Floats:
            if not logits.requires_grad:
                # The output does not depend on the images: a true gradient of zero.
                return np.zeros_like(images)
            weights = torch.from_numpy(cotangent).to(logits.device)
            (gradient,) = torch.autograd.grad(logits, variable, weights, retain_graph=True, allow_unused=True)
            return np.zeros_like(images) if gradient is None else _array(gradient.float())

        return _array(logits.detach()), pullback

    @contextlib.contextmanager
    def prepare(self, threads: int | None) -> Iterator[None]:
        torch = self._torch
        modes = [(module, module.training) for module in self._module.modules()]
        wanted = [(parameter, parameter.requires_grad) for parameter in self._module.parameters()]
        before = torch.get_num_threads()
        try:
            # Modules made by torch.export refuse eval(): they have one mode only.
            with contextlib.suppress(NotImplementedError):
                self._module.eval()
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            for module, training in modes:
                module.training = training
            for parameter, flag in wanted:
                parameter.requires_grad_(flag)
            torch.set_num_threads(before)


class ArrayModel:
    """A function of NumPy arrays: logits only."""

    framework = f"numpy {np.__version__}"
    gradients = False

    def __init__(self, function: Callable[[Any], Any], scale: Scale | None, name: str) -> None:
        self._function = function
        self._scale = scale
        self.name = name
        self.fingerprint = _function_hash(function, scale)

    def logits(self, images: Floats) -> Floats:
        if self._scale is not None:
            mean, std = (np.asarray(side, np.float32).reshape(1, -1, 1, 1) for side in self._scale)
            images = (images - mean) / std
        return np.asarray(self._function(images), np.float32)

    def forward(self, images: Floats) -> tuple[Floats, Pullback]:
        raise ModelError(f"{self.name} has no gradients: only attacks that need none can be run on it")

    def prepare(self, threads: int | None) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class JaxModel(ArrayModel):
    """A JAX function from images ``[N, 3, H, W]`` to logits; compiled once for each batch size."""

    gradients = True

    def __init__(self, function: Callable[[Any], Any], scale: Scale | None, name: str) -> None:
        import jax

        def scaled(images: Any) -> Any:
            if scale is not None:
                mean, std = (jax.numpy.asarray(side, "float32").reshape(1, -1, 1, 1) for side in scale)
                images = (images - mean) / std
            return function(images).astype("float32")

        self._forward = jax.jit(scaled)
        self._pull = jax.jit(lambda images, cotangent: jax.vjp(scaled, images)[1](cotangent)[0])
        self.framework = f"jax {jax.__version__}"
        self.name = name
        self.fingerprint = _function_hash(function, scale)

    def logits(self, images: Floats) -> Floats:
        return np.asarray(self._forward(images))

    def forward(self, images: Floats) -> tuple[Floats, Pullback]:
        return self.logits(images), lambda cotangent: np.asarray(self._pull(images, cotangent))


def _array(tensor: Any) -> Floats:
    """A torch tensor as an array."""
    return np.asarray(tensor.cpu().numpy(), np.float32)


Scale = tuple[tuple[float, ...], tuple[float, ...]]


def _normalisation(mean: Sequence[float] | None, std: Sequence[float] | None) -> Scale | None:
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ModelError("mean and std belong together: give both, one value a channel, or neither")
    scale = tuple(map(float, mean)), tuple(map(float, std))
    if any(len(side) not in (1, 3) for side in scale) or any(value <= 0 for value in scale[1]):
        raise ModelError(f"mean and std are one or three values, and std is positive; these are {scale[0]}, {scale[1]}")
    return scale


def _function_hash(function: Callable[[Any], Any], scale: Scale | None) -> str:
    """The identity of a function: its source, the arrays it closes over, and its answers to one fixed batch."""
    digest = hashlib.sha256(repr(scale).encode())
    with contextlib.suppress(OSError, TypeError):
        digest.update(inspect.getsource(function).encode())
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(Exception):
            digest.update(np.asarray(cell.cell_contents).tobytes())
    return digest.hexdigest()


#: The version of ONNX's operators that others are converted to.
_OPERATORS = 17


def _from_file(path: Path) -> Any:
    kind = path.suffix.lower()
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    if kind == ".pt2":
        import torch

        return torch.export.load(path).module()
    if kind == ".onnx":
        try:
            import onnx.version_converter
            import onnx2torch
        except ImportError:
            raise ModelError(f"{path} is an ONNX file, which needs: pip install onnx onnx2torch") from None
        graph = onnx.load(path)
        try:
            return onnx2torch.convert(graph)
        except NotImplementedError:
            with contextlib.suppress(Exception):
                # Operators of this set are all known to the converter; those of later ones in part.
                return onnx2torch.convert(onnx.version_converter.convert_version(graph, _OPERATORS))
            raise ModelError(
                f"{path}: {sys.exc_info()[1]} in onnx2torch; export it with opset_version={_OPERATORS}, or serve the "
                "original model (rlnet eval python:FILE.py:factory)"
            ) from None
    if kind in (".pth", ".pt", ".ckpt"):
        raise ModelError(
            f"{path} holds weights or a pickled module, not a model that can be run: give the code as well "
            f"(rlnet eval {path} --factory FILE.py:make, or pass the nn.Module itself)"
        )
    raise ModelError(f"{path}: .onnx and .pt2 files are read, not {kind or 'files without an ending'}")
