"""What is to be measured: one checked request, and the table of what can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import torch

from hrnet_mm.analysis.shapes import require_shape
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.models.arch import NAMED_ARCHS

from .forms import ENGINES, FORMS, PEER_FORMS

Shape = tuple[int, int]


@dataclass(frozen=True)
class Kind:
    """One value of ``--what``.

    Attributes:
        title: what it is, in words.
        peers: whose network ours can be compared with; the first one is the usual one.
        arch: architecture where none is given.
        shape: height and width where none is given: of the image, or of a neck's finest map.
        batch: images where no number is given.
        default_peers: the peers where none are given; default all.
        marks: networks that compute something else and show what speed its arithmetic allows.
        exportable: whether ONNX Runtime and OpenVINO can run the peer.
    """

    title: str
    peers: tuple[str, ...]
    arch: str
    shape: Shape
    batch: int
    default_peers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    exportable: bool = True


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        'backbone': Kind('backbone', (*CODEBASES, 'timm'), 'w32', (256, 192), 4),
        'hrfpn': Kind('HRFPN on its streams', ('mmdet',), 'w48', (128, 256), 1),
        'v2': Kind('HRNetV2 head on its streams', ('mmseg',), 'w48', (128, 256), 1),
        'pose': Kind('HeatmapHead on HRNetV1', ('mmpose',), 'w32', (256, 192), 4),
        'seg': Kind('FCN on HRNetV2', ('mmseg',), 'w18', (512, 1024), 2),
        'det': Kind('Faster R-CNN on HRNetV2p', ('mmdet',), 'w18', (800, 1344), 2, exportable=False),
        'cls': Kind(
            'HRNet-C', ('mmpretrain', 'timm'), 'w18', (224, 224), 4, ('mmpretrain',), marks=('resnet50',)
        ),
    }
)
MODES = ('infer', 'train')
DEVICES = ('cpu', 'cuda')
PRECISIONS: Mapping[str, torch.dtype] = MappingProxyType(
    {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
)
#: What peak memory is: live tensors, the growth of a process that runs one contestant alone, or not asked.
MEMORY = ('tensors', 'process', 'none')
#: Package that a peer, a mark or an engine is imported from, and the command that installs it.
_NEEDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **{scope: (scope, CODEBASES[scope].install_hint) for scope in CODEBASES},
        'timm': ('timm', 'pip install timm'),
        'resnet50': ('timm', 'pip install timm'),
        'onnxruntime': ('onnxruntime', 'pip install onnxruntime onnx'),
        'openvino': ('openvino', 'pip install openvino onnx'),
    }
)


@dataclass(frozen=True)
class Request:
    """A benchmark, every choice made; :func:`make_request` makes valid ones.

    Attributes:
        what: key of ``KINDS``.
        mode: ``infer`` or ``train`` (forward and backward; with an SGD step for whole models).
        device: ``cpu`` or ``cuda``.
        arch: name of the architecture.
        shape: height and width.
        batch: images.
        precision: of all contestants but those whose form has one of its own.
        threads: of torch and of the engines.
        rounds: timed rounds.
        forms: of ours, names in ``FORMS``.
        peers: ``'mmpose'``, ``'mmpose:compiled'``, ``'resnet50:openvino'``, ...
        memory: one of ``MEMORY``.
        left_out: usual contestants that cannot run here, with the reason.
    """

    what: str
    mode: str
    device: str
    arch: str
    shape: Shape
    batch: int
    precision: str
    threads: int
    rounds: int
    forms: tuple[str, ...]
    peers: tuple[str, ...]
    memory: str = 'tensors'
    left_out: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The row of ``KINDS``."""
        return KINDS[self.what]

    @property
    def training(self) -> bool:
        """Whether the way back is timed too."""
        return self.mode == 'train'

    def forms_of(self, entrant: str) -> tuple[str, ...]:
        """The forms in which a peer or a mark takes part, its plain one first; none if it doesn't."""
        named = [peer.partition(':') for peer in self.peers]
        return tuple(form or 'plain' for name, _, form in named if name == entrant)

    @property
    def matches(self) -> tuple[str, ...]:
        """The peers that ours meets, each in a match of its own."""
        return tuple(peer for peer in self.kind.peers if self.forms_of(peer))

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks that take part in every match."""
        return tuple(mark for mark in self.kind.marks if self.forms_of(mark))


def make_request(
    *,
    what: str,
    mode: str = 'infer',
    device: str = 'cpu',
    arch: str | None = None,
    shape: Sequence[Any] | None = None,
    batch: Any = None,
    precision: str = 'fp32',
    threads: Any = None,
    rounds: Any = 7,
    forms: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    memory: str = 'tensors',
) -> Request:
    """Check what a user asks for and fill in the rest.

    Args:
        what: key of ``KINDS``; the others as in :class:`Request`. A bare ``'onnxruntime'`` or ``'openvino'``
            among the peers runs the network of every peer given (of the usual one if none is).

    Raises:
        ConfigError: in one line, which argument cannot be met and what would be right.
    """
    for key, value, known in (
        ('--what', what, KINDS),
        ('--mode', mode, MODES),
        ('--device', device, DEVICES),
        ('--precision', precision, PRECISIONS),
        ('--memory', memory, MEMORY),
        ('--arch', arch or 'w32', NAMED_ARCHS),
    ):
        _one_of(key, value, known)
    if device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError(key='--device', value=device, expected='cpu, because torch sees no GPU here')
    kind = KINDS[what]
    names, left_out = _contestants(kind, peers, mode=mode, device=device, precision=precision)
    return Request(
        what=what,
        mode=mode,
        device=device,
        arch=arch or kind.arch,
        shape=kind.shape if shape is None else require_shape(shape),
        batch=kind.batch if batch is None else _positive('--batch', batch),
        precision=precision,
        threads=torch.get_num_threads() if threads is None else _positive('--threads', threads),
        rounds=_positive('--rounds', rounds),
        forms=_forms_of_ours(forms, mode=mode, precision=precision),
        peers=names,
        memory=memory,
        left_out=left_out,
    )


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    if value not in tuple(known):
        raise ConfigError(key=key, value=value, expected=f'one of {", ".join(known)}')


def _positive(key: str, value: Any) -> int:
    if not str(value).isdecimal() or int(value) < 1:
        raise ConfigError(key=key, value=value, expected='a whole number from 1 up')
    return int(value)


def _forms_of_ours(forms: Sequence[str] | None, *, mode: str, precision: str) -> tuple[str, ...]:
    known = FORMS[mode]
    usable = [name for name, form in known.items() if precision == 'fp32' or form.precision is None]
    if forms is None:
        return tuple(name for name in usable if known[name].usual)
    for form in forms:
        _one_of('--forms', form, usable)
    return tuple(dict.fromkeys(forms))


def _contestants(
    kind: Kind, peers: Sequence[str] | None, *, mode: str, device: str, precision: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Peers with their forms written out, and the usual ones that are absent."""
    engines_fit = kind.exportable and (mode, device, precision) == ('infer', 'cpu', 'fp32')
    if peers is not None:
        names = _spelt_out(kind, peers)
        for name in names:
            _check_peer(kind, name, mode=mode, precision=precision, engines_fit=engines_fit)
        return names, ()
    forms = ('channels_last', 'compiled', *(ENGINES if engines_fit else ()))
    usual = [*(kind.default_peers or kind.peers), *(ENGINES if engines_fit else ())]
    usual += [mark if not form else f'{mark}:{form}' for mark in kind.marks for form in ('', *forms)]
    names = _spelt_out(kind, usual)
    absent = {name: needed for name in names for needed in _missing(name)}
    kept = tuple(name for name in names if name not in absent)
    if not any(name in kind.peers for name in kept):
        raise _not_installed(kind.peers[0], _NEEDS[kind.peers[0]][0])
    return kept, tuple(f'{name} (no {needed} installed)' for name, needed in absent.items())


def _spelt_out(kind: Kind, peers: Sequence[str]) -> tuple[str, ...]:
    """``'onnxruntime'`` alone becomes one name per peer, and every form brings its plain network along."""
    for name in peers:
        _one_of('--peers', name.partition(':')[0], (*kind.peers, *kind.marks, *ENGINES))
    networks = list(dict.fromkeys(name.partition(':')[0] for name in peers if name not in ENGINES))
    if not any(name in kind.peers for name in networks):
        networks.insert(0, (kind.default_peers or kind.peers)[0])
    engines = [name for name in peers if name in ENGINES]
    found: list[str] = []
    for network in networks:
        own = [name for name in peers if name.startswith(f'{network}:')]
        shared = [f'{network}:{engine}' for engine in engines if network in kind.peers]
        found += [network, *own, *shared]
    return tuple(dict.fromkeys(found))


def _check_peer(kind: Kind, name: str, *, mode: str, precision: str, engines_fit: bool) -> None:
    _, _, form = name.partition(':')
    if form in ENGINES and not engines_fit:
        where = 'infer, cpu and fp32 with it' if kind.exportable else 'another --what: it cannot be exported'
        raise ConfigError(key='--peers', value=name, expected=where)
    if form and form not in ENGINES:
        known = (*PEER_FORMS[mode], *ENGINES)
        if form not in known:
            raise ConfigError(
                key='--peers', value=name, expected=f'after the colon one of {", ".join(known)}'
            )
        if FORMS[mode][form].precision and precision != 'fp32':
            raise ConfigError(key='--peers', value=name, expected='--precision fp32 with it')
    for needed in _missing(name):
        raise _not_installed(name, needed)


def _missing(name: str) -> list[str]:
    network, _, form = name.partition(':')
    packages = [_NEEDS[part][0] for part in (network, form) if part in _NEEDS]
    packages += ['onnx'] if form in ENGINES else []
    return [package for package in packages if find_spec(package) is None]


def _not_installed(name: str, package: str) -> ConfigError:
    hints = dict(_NEEDS.values())
    hint = hints.get(package, f'pip install {package}')
    return ConfigError(key='--peers', value=name, expected=f'an installed {package}; {hint}')
