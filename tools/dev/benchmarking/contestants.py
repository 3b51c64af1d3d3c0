"""Networks in the forms in which they are timed."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_mm.analysis import PeakMemory
from hrnet_mm.deploy.graphs import CUDAGraphs
from hrnet_mm.training.cuda_graph_hook import TrainingGraphs
from hrnet_mm.utils import quiet

from .drivers import Driver, tensors_of
from .networks import Network
from .request import FORMS, PRECISIONS, Request

_LEARNING_RATE = 1e-8  # a step costs the same whatever its length, and the weights stay alive


def make_contestant(
    network: Network, form: str, inputs: Sequence[Tensor], request: Request
) -> TorchContestant | EngineContestant:
    """One network in one form, with its own copy of the weights."""
    kind = EngineContestant if FORMS[form].engine else TorchContestant
    return kind(network, form, inputs, request)


class TorchContestant:
    """A module with its own copy of weights and inputs.

    Attributes:
        network: The name of the network.
        name: As in ``ours inference_form``; the network's own for its plain form.
        precision: What it computes in.
    """

    def __init__(self, network: Network, form: str, inputs: Sequence[Tensor], request: Request) -> None:
        made = FORMS[form]
        self.network, self.driver = network.name, network.driver
        self.name = network.name if form == 'plain' else f'{network.name} {form}'
        self.precision = made.precision or request.precision
        self.training, self.device, self.compiled = request.mode == 'train', request.device, made.compiled
        module = copy.deepcopy(network.module)
        module.train(self.training)
        module = made.convert(module) if made.convert else module
        layout = torch.channels_last if made.channels_last else torch.preserve_format
        if made.channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype = PRECISIONS[self.precision]
        self.autocasts = dtype != torch.float32 and (self.training or not self.driver.casts)
        if not self.autocasts:
            module.to(dtype)
        cast = torch.float32 if self.autocasts else dtype
        self.inputs = tuple(x.detach().to(cast).clone(memory_format=layout) for x in inputs)
        for x, like in zip(self.inputs, inputs, strict=True):
            x.requires_grad_(like.requires_grad)
        self.module = self._called = module
        self._graphs = self._capturing(made.graphed)
        for part in self.driver.compilable(module, training=self.training) if made.compiled else ():
            part.compile()
        self.optimizer = None
        if self.training and self.driver.steps:
            learnable = [p for p in module.parameters() if p.requires_grad]
            self.optimizer = torch.optim.SGD(learnable, lr=_LEARNING_RATE, momentum=0.9, weight_decay=1e-4)

    def _capturing(self, graphed: bool) -> Any:
        """What replays the network, or in training its backbone and neck."""
        if not graphed:
            return None
        if not self.training:
            return CUDAGraphs(self.name)
        if hasattr(self.module, 'extract_feat'):
            self.module.extract_feat = graphs = TrainingGraphs(self.module, shapes=2)
        else:
            parts = {'backbone': self.module, 'neck': None, 'extract_feat': self.module, 'training': True}
            self._called = graphs = TrainingGraphs(SimpleNamespace(**parts), shapes=2)
        return graphs

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.autocasts:
            return nullcontext()
        cache = self._graphs is None  # what autocast remembers, a graph must not read
        return torch.autocast(self.device, dtype=PRECISIONS[self.precision], cache_enabled=cache)

    def _forward(self, forward: Callable[..., Any]) -> Any:
        """One of the driver's ways forward, replayed in inference if the form is."""
        if self.training or self._graphs is None:
            return forward(self._called, self.inputs)
        dtype = self.inputs[0].dtype
        replayed = self._graphs(
            lambda inputs: tuple(tensors_of(forward(self.module, inputs))), self.inputs, dtype=dtype
        )
        if replayed is None:
            raise RuntimeError('it could not be captured: the log tells why')
        return replayed

    def run(self) -> Any:
        """What is timed: a forward pass in eval mode; or forward, backward and, for whole models, a step."""
        if not self.training:
            with torch.no_grad(), self._precision():
                return self._forward(self.driver.forward)
        if self._graphs is not None:
            self._graphs.replayed = False
        with self._precision():
            loss = self.driver.loss(self._called, self.inputs)
        loss.backward()
        if self.optimizer is not None:
            self.optimizer.step()
        self._forget_gradients()

    def outputs(self) -> list[Tensor]:
        """What must agree, in float32."""
        if self.training and self._graphs is not None:
            self._graphs.replayed = False
        with torch.set_grad_enabled(self.training), self._precision():
            checked = self._forward(self.driver.checked)
        return [y.float() for y in tensors_of(checked)]

    def gradient(self) -> Tensor | None:
        """In training, the gradient that has come the longest way back: the input's, or the first weight's.

        From a number that weighs every element of every output differently, the same in every call: behind
        batch norms mean squares hardly depend on the weights before.
        """
        if not self.training:
            return None
        generator = torch.Generator().manual_seed(0)
        weighted = [
            (torch.randn(y.shape, generator=generator).to(y.device) * y).mean() for y in self.outputs()
        ]
        torch.stack(weighted).sum().backward()
        convolutions = (m.weight for m in self.module.modules() if isinstance(m, nn.Conv2d))
        first = self.inputs[0] if self.inputs[0].requires_grad else next(convolutions)
        assert first.grad is not None
        gradient = first.grad.float().clone()
        self._forget_gradients()
        return gradient

    def _forget_gradients(self) -> None:
        self.module.zero_grad(set_to_none=True)
        for x in self.inputs:
            x.grad = None

    def peak(self) -> int | None:
        """Most bytes of tensors alive at once during a run, weights and inputs included.

        On a GPU the allocator's, less what belongs to others. ``None`` for compiled code on a CPU, which
        allocates by itself.
        """
        states = self.optimizer.state.values() if self.optimizer else ()
        held = [*self.module.parameters(), *self.module.buffers(), *self.inputs]
        held += [v for part in (*map(vars, self.module.modules()), *states) for v in part.values()]
        held = [x for x in held if isinstance(x, Tensor)]
        # weights in oneDNN's order have no storage that could be watched
        packed = sum(x.numel() * x.element_size() for x in held if x.layout != torch.strided)
        memory = PeakMemory(x for x in held if x.layout == torch.strided)
        if self.device == 'cuda':
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.run()
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() - before + memory.current
        if self.compiled:
            return None
        with memory:
            self.run()
        return memory.peak + packed


class _Flat(nn.Module):
    """A network with tensors in and tensors out, as ONNX has it."""

    def __init__(self, module: nn.Module, driver: Driver) -> None:
        super().__init__()
        self.module = module
        self.driver = driver

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_of(self.driver.forward(self.module, inputs)))


class EngineContestant:
    """ONNX Runtime or OpenVINO on an exported network; attributes and methods as :class:`TorchContestant`."""

    precision = 'fp32'

    def __init__(self, network: Network, form: str, inputs: Sequence[Tensor], request: Request) -> None:
        self.network, self.name = network.name, f'{network.name} {form}'
        flat = _Flat(copy.deepcopy(network.module), network.driver)
        for module in (flat, flat.module):  # not chained: mmpose's HRNet.train() returns nothing
            module.train(False)
        start = {'onnxruntime': _onnxruntime, 'openvino': _openvino}[form]
        with tempfile.TemporaryDirectory() as folder, torch.no_grad(), quiet():
            path = str(Path(folder) / 'network.onnx')
            torch.onnx.export(flat, tuple(inputs), path, opset_version=17, dynamo=False)
            self.run = start(path, [x.detach().numpy() for x in inputs], request.threads)

    def outputs(self) -> list[Tensor]:
        return [torch.from_numpy(y.copy()) for y in self.run()]

    def gradient(self) -> Tensor | None:
        return None

    def peak(self) -> int | None:
        return None


def _onnxruntime(path: str, arrays: list[Any], threads: int) -> Callable[[], Sequence[Any]]:
    """ONNX Runtime's CPU provider with all graph optimisations."""
    runtime = import_module('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # idle threads that spin would slow whoever is timed next
    options.add_session_config_entry('session.intra_op.allow_spinning', '1')
    options.add_session_config_entry('session.force_spinning_stop', '1')
    session = runtime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_inputs()]
    return lambda: session.run(None, dict(zip(names, arrays, strict=True)))


def _openvino(path: str, arrays: list[Any], threads: int) -> Callable[[], Sequence[Any]]:
    """OpenVINO's CPU plugin; without being told it would compute in bfloat16 where a CPU can."""
    core = import_module('openvino').Core()
    properties = {
        'PERFORMANCE_HINT': 'LATENCY',
        'NUM_STREAMS': '1',
        'INFERENCE_NUM_THREADS': str(threads),
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    compiled = core.compile_model(core.read_model(path), 'CPU', properties)
    request = compiled.create_infer_request()

    def infer() -> list[Any]:
        found = request.infer(arrays, share_inputs=True, share_outputs=True)
        return [found[port] for port in compiled.outputs]

    return infer
