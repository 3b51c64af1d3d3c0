"""What is to be measured: the kinds of networks, the forms in which they take part, one checked request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Final

import torch
from torch import nn

from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.deploy import to_inference_form


@dataclass(frozen=True)
class Kind:
    """One value of ``--what``, and what is taken where nothing else is asked for.

    Attributes:
        title: What it is, in words.
        peers: Whose network ours can be compared with; the first one is the usual one.
        arch: Architecture.
        shape: Height and width: of the image, or of a neck's finest map.
        batch: Images.
        mark: A network that computes something else and shows what speed its arithmetic allows.
        exportable: Whether ONNX Runtime and OpenVINO can run the peer.
    """

    title: str
    peers: tuple[str, ...]
    arch: str
    shape: tuple[int, int]
    batch: int
    mark: str = ''
    exportable: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    'backbone': Kind('backbone', (*CODEBASES, 'timm'), 'w32', (256, 192), 4),
    'hrfpn': Kind('HRFPN on its streams', ('mmdet',), 'w48', (128, 256), 1),
    'v2': Kind('HRNetV2 head on its streams', ('mmseg',), 'w48', (128, 256), 1),
    'pose': Kind('HeatmapHead on HRNetV1', ('mmpose',), 'w32', (256, 192), 4),
    'seg': Kind('FCN on HRNetV2', ('mmseg',), 'w18', (512, 1024), 2),
    'det': Kind('Faster R-CNN on HRNetV2p', ('mmdet',), 'w18', (800, 1344), 2, exportable=False),
    'cls': Kind('HRNet-C', ('mmpretrain', 'timm'), 'w18', (224, 224), 4, mark='resnet50'),
}
PRECISIONS: Final[Mapping[str, torch.dtype]] = {
    'fp32': torch.float32,
    'bf16': torch.bfloat16,
    'fp16': torch.float16,
}


@dataclass(frozen=True)
class Form:
    """What is done to a copy of a network before it is timed.

    Attributes:
        modes: In which it exists, ``infer`` and ``train``.
        convert: The network in, the network to run out; for ours alone.
        channels_last: Whether weights and images are laid out channels last in memory.
        compiled: Whether torch.compile gets it (inductor; in inference with frozen weights).
        precision: Of its own, by autocast, in the place of fp32.
        engine: Whether a program outside torch runs the exported network, on a CPU in fp32; for peers alone.
        gpu: Whether it exists on a GPU alone.
        graphed: Whether it is replayed from CUDA graphs: in inference forward, in training backbone and neck.
    """

    modes: tuple[str, ...] = ('infer', 'train')
    convert: Callable[[nn.Module], nn.Module] | None = None
    channels_last: bool = False
    compiled: bool = False
    precision: str | None = None
    engine: bool = False
    gpu: bool = False
    graphed: bool = False


FORMS: Final[Mapping[str, Form]] = {
    'plain': Form(),
    'inference_form': Form(('infer',), convert=to_inference_form),
    'without_graph': Form(('infer',), convert=partial(to_inference_form, cuda_graphs=False), gpu=True),
    'graph': Form(channels_last=True, gpu=True, graphed=True),
    'channels_last': Form(channels_last=True),
    'bf16': Form(('train',), precision='bf16'),
    'compiled': Form(compiled=True),
    'onnxruntime': Form(('infer',), engine=True),
    'openvino': Form(('infer',), engine=True),
}


@dataclass(frozen=True)
class Request:
    """A benchmark, every choice made; :func:`make_request` makes valid ones.

    Attributes:
        what: Key of ``KINDS``.
        mode: ``infer`` or ``train`` (forward and backward; with an SGD step for whole models).
        device: ``cpu`` or ``cuda``.
        arch: Name of the architecture.
        shape: Height and width.
        batch: Images.
        precision: Of all contestants but those whose form has one of its own.
        threads: Of torch and of the engines.
        rounds: Timed rounds.
        forms: Network, ``'ours'`` among them -> its forms.
    """

    what: str
    mode: str
    device: str
    arch: str
    shape: tuple[int, int]
    batch: int
    precision: str
    threads: int
    rounds: int
    forms: Mapping[str, tuple[str, ...]]

    @property
    def kind(self) -> Kind:
        """The row of ``KINDS``."""
        return KINDS[self.what]

    @property
    def peers(self) -> list[str]:
        """The peers that ours meets, each in a match of its own."""
        return [peer for peer in self.kind.peers if peer in self.forms]

    @property
    def size(self) -> str:
        """Batch, height and width."""
        return 'x'.join(map(str, (self.batch, *self.shape)))


def make_request(
    *,
    what: str,
    mode: str = 'infer',
    device: str = 'cpu',
    arch: str | None = None,
    shape: tuple[int, int] | None = None,
    batch: int | None = None,
    precision: str = 'fp32',
    threads: int | None = None,
    rounds: int = 7,
    forms: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
) -> Request:
    """Fill in what was not asked for, and check what can't go together.

    Args:
        what: As the others in :class:`Request`.
        forms: Of ours.
        peers: As in ``'mmpose'``, ``'resnet50:compiled'``; a form alone, as in ``'openvino'``, is every given
            peer's (the usual one's if none is), and every form brings its plain network along.

    Raises:
        ConfigError: in one line, which argument cannot be met and what would be right.
    """
    if device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError(key='--device', value=device, expected='cpu, because torch sees no GPU here')
    kind = KINDS[what]
    engines = kind.exportable and (device, precision) == ('cpu', 'fp32')
    fitting = {name: form for name, form in FORMS.items() if mode in form.modes}
    fitting = {name: form for name, form in fitting.items() if device == 'cuda' or not form.gpu}
    if (what, mode) in (('hrfpn', 'train'), ('v2', 'train'), ('det', 'infer')):
        fitting.pop('graph', None)  # several streams in; boxes whose number follows from the numbers
    fitting = {name: form for name, form in fitting.items() if precision == 'fp32' or not form.precision}
    of_ours = [name for name, form in fitting.items() if not form.engine]
    of_peers = [name for name, form in fitting.items() if not form.convert and (engines or not form.engine)]
    for form in forms or ():
        if form not in of_ours:
            raise ConfigError(key='--forms', value=form, expected=f'one of {", ".join(of_ours)}')
    usual = [name for name in of_ours if name != 'channels_last' or mode == 'train']
    others = _forms_of_others(kind, _usual(kind, of_peers) if peers is None else peers, of_peers)
    return Request(
        what=what,
        mode=mode,
        device=device,
        arch=arch or kind.arch,
        shape=shape or kind.shape,
        batch=batch or kind.batch,
        precision=precision,
        threads=threads or torch.get_num_threads(),
        rounds=rounds,
        forms={'ours': tuple(forms or usual), **others},
    )


def _usual(kind: Kind, forms: Sequence[str]) -> list[str]:
    """Every peer (of classifiers the first) in its engines, and a mark in all its forms."""
    marks = [f'{kind.mark}:{form}' for form in forms if kind.mark and form != 'bf16']
    engines = [form for form in forms if FORMS[form].engine]
    return [*(kind.peers[:1] if kind.mark else kind.peers), *engines, *marks]


def _forms_of_others(kind: Kind, asked: Sequence[str], forms: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Peer or mark -> its forms, the plain one first."""
    known = [*kind.peers, *filter(None, [kind.mark])]
    found: dict[str, dict[str, None]] = {}
    for name in asked:
        network, _, form = (kind.peers[0], '', name) if name in FORMS else name.partition(':')
        form = form or 'plain'
        if network not in known or form not in forms:
            here = 'with this --what, --mode, --device and --precision'
            expected = f'PEER[:FORM], PEER one of {", ".join(known)} and FORM of {", ".join(forms)} {here}'
            raise ConfigError(key='--peers', value=name, expected=expected)
        if name not in FORMS:
            found.setdefault(network, {'plain': None})[form] = None
    if not found.keys() & set(kind.peers):
        found = {kind.peers[0]: {'plain': None}, **found}
    for network in found.keys() - {kind.mark}:
        found[network] |= dict.fromkeys(name for name in asked if name in FORMS)
    for network, names in found.items():
        for form in names:
            _require_installed(network, form)
    return {network: tuple(names) for network, names in found.items()}


def _require_installed(network: str, form: str) -> None:
    """Refuse a contestant whose packages are missing."""
    packages = ['timm' if network == 'resnet50' else network, *([form, 'onnx'] if FORMS[form].engine else [])]
    for package in packages:
        if find_spec(package) is None:
            hint = CODEBASES[package].install_hint if package in CODEBASES else f'pip install {package}'
            expected = f'an installed {package}; {hint}'
            raise ConfigError(key='--peers', value=f'{network}:{form}', expected=expected)
