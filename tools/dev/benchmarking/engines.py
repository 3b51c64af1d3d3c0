"""ONNX Runtime and OpenVINO on an exported network: what speed others reach with the same arithmetic."""

from __future__ import annotations

import copy
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_mm.utils import quiet

from .drivers import Driver, tensors_of

_OPSET = 17


class _Flat(nn.Module):
    """A network with tensors in and tensors out, as ONNX has it."""

    def __init__(self, module: nn.Module, driver: Driver) -> None:
        super().__init__()
        self.module = module
        self.driver = driver

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_of(self.driver.forward(self.module, inputs)))


def export_onnx(module: nn.Module, driver: Driver, inputs: Sequence[Tensor], path: Path) -> None:
    """Write the network in eval mode, at the inputs' sizes."""
    flat = _Flat(copy.deepcopy(module), driver)
    flat.eval()
    flat.module.train(False)
    with torch.no_grad(), quiet():
        torch.onnx.export(flat, tuple(inputs), str(path), opset_version=_OPSET, dynamo=False)


class _Engine(ABC):
    """Common to both: export, load, and run on numpy arrays."""

    is_watchable = False

    def __init__(self, module: nn.Module, driver: Driver, inputs: Sequence[Tensor], *, threads: int) -> None:
        self.arrays = [x.detach().numpy() for x in inputs]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'network.onnx'
            export_onnx(module, driver, inputs, path)
            self._infer = self._load(path, threads)

    @abstractmethod
    def _load(self, path: Path, threads: int) -> Callable[[], Sequence[Any]]:
        """What runs the exported network once."""

    def run(self) -> Any:
        return self._infer()

    def outputs(self) -> list[Tensor]:
        return [torch.from_numpy(y.copy()) for y in self._infer()]

    def gradient(self) -> Tensor | None:
        return None

    def tensors(self) -> list[Tensor]:
        return []


class OnnxRuntime(_Engine):
    """ONNX Runtime's CPU provider with all graph optimisations."""

    def _load(self, path: Path, threads: int) -> Callable[[], Sequence[Any]]:
        runtime = import_module('onnxruntime')
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # idle threads that spin would slow whoever is timed next
        options.add_session_config_entry('session.intra_op.allow_spinning', '1')
        options.add_session_config_entry('session.force_spinning_stop', '1')
        session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        names = [node.name for node in session.get_inputs()]
        feed = dict(zip(names, self.arrays, strict=True))
        return lambda: session.run(None, feed)


class OpenVino(_Engine):
    """OpenVINO's CPU plugin; without being told it would compute in bfloat16 where a CPU can."""

    def _load(self, path: Path, threads: int) -> Callable[[], Sequence[Any]]:
        core = import_module('openvino').Core()
        properties = {
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': '1',
            'INFERENCE_NUM_THREADS': str(threads),
            'INFERENCE_PRECISION_HINT': 'f32',
        }
        compiled = core.compile_model(core.read_model(str(path)), 'CPU', properties)
        request = compiled.create_infer_request()

        def infer() -> list[Any]:
            found = request.infer(self.arrays, share_inputs=True, share_outputs=True)
            return [found[port] for port in compiled.outputs]

        return infer


#: Form -> what runs it.
ENGINE_RUNNERS: Mapping[str, Callable[..., _Engine]] = MappingProxyType(
    {'onnxruntime': OnnxRuntime, 'openvino': OpenVino}
)
