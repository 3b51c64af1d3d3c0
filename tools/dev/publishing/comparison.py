"""``docs/comparison.md``: HRNet beside the networks that the paper compares it with, measured alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from tqdm import tqdm

from hrnet_mm.analysis import GIGA, Complexity, complexity_of
from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.utils import markdown_table

from .figures import COMPARED, COMPARISONS, ROOT, ComparedNetwork
from .memory import TRAINING_BATCH, Memory, memory_of

_MIB = 2**20
_INTRODUCTION = f"""\
# HRNet against the others

Made by `python tools/dev/pages.py comparison`: the networks that the paper (arXiv 1908.07919) compares with,
as the mm packages ship them, SegNet and DeconvNet, and ours. Columns headed "paper" are the authors' figures
and were not measured here; all others are computed from the configs.

- Parameters: millions (10^6), without heads that only training runs (mmseg's auxiliary heads).
- MACs: multiply-accumulates of convolutions and linear layers, all heads included, for one image, divided by
  2^30, the unit that the paper calls GFLOPs. Our necks convolve before they upsample where that pays: what
  is really multiplied stands in brackets.
- Detectors are counted on the RoIs that their configs ask for: 1000 in inference, 512 an image in training.
- Memory: the most bytes of tensors alive at once, weights included, in 32 bits: inference on one image, and
  a training step on {TRAINING_BATCH} images (features, gradients and auxiliary heads; without the optimizer's
  state and the losses). Counted tensor by tensor on the meta device, so it is the same on every machine. What
  the allocator rounds up and what an operation needs inside come on top. The paper measured on a GPU, in
  training with batches that it doesn't give."""

_RELATIVES = """\
## SegNet and DeconvNet

`hrnet_mm.SegNet` and `hrnet_mm.DeconvNet` are backbones for mmseg, with the parameters of the authors' own
networks (29.45 M at 11 classes and 251.8 M at 21; SegNet's classifier is 3x3 there, and mmseg's 1x1). They
give one map at the image's own size. Configs are in `configs/relatives/`, and are changed like all others:

```python
_base_ = 'configs/relatives/segnet_vgg16_cityscapes.py'
model = dict(
    backbone=dict(base_channels=16, init_cfg=None),  # a quarter as wide, from random weights
    decode_head=dict(in_channels=16, channels=16, num_classes=11),
)
```

- SegNet takes images of any size, DeconvNet from 193x193 on: its core's first kernel is 7x7, on a map that is
  32 times smaller. `core_kernel_size=3` takes images from 65x65 on.
- At the full width `init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16_bn')` loads the encoder,
  and of DeconvNet the core's first two layers too. Another encoder's weights are refused.
- Both can be exported to ONNX: unpooling is its `ScatterElements`."""


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network and what its config gives here."""

    network: ComparedNetwork
    shape: tuple[int, int]
    size: Complexity
    memory: Memory

    @property
    def params(self) -> int:
        """Parameters of the network that is used: heads that only training runs are left out."""
        return self.size.params - self.size.auxiliary_params


def measure_networks(
    networks: Iterable[ComparedNetwork] = COMPARED,
    *,
    shape: tuple[int, int] | None = None,
    progress: bool = False,
) -> list[MeasuredNetwork]:
    """Count the networks of some comparisons.

    Args:
        networks: Which ones.
        shape: Height and width of the image, instead of each network's own.
        progress: Show a bar.

    Raises:
        ConfigError: if a package is missing, or a model can't be built or run.
    """
    rows = []
    for network in tqdm(list(networks), desc='comparison', unit='network', disable=not progress):
        model, size = build_model(config_of(network), device='meta'), shape or network.shape
        rows.append(MeasuredNetwork(network, size, complexity_of(model, size), memory_of(model, size)))
    return [row for task in COMPARISONS for row in rows if row.network.task == task]


def config_of(network: ComparedNetwork) -> Config:
    """A network's config, from ``configs/`` or from the package that ships it."""
    return load_config(ROOT / 'configs' / network.config if network.is_ours else network.config)


def comparison_page(rows: Sequence[MeasuredNetwork]) -> str:
    """Introduction, a table per comparison, and what is written by hand."""
    blocks = [_INTRODUCTION]
    for task in dict.fromkeys(row.network.task for row in rows):
        chosen, about = [row for row in rows if row.network.task == task], COMPARISONS[task]
        columns = {name.format(score=about.score): [cell(row) for row in chosen] for name, cell in _COLUMNS}
        filled = {name: cells for name, cells in columns.items() if any(cells)}
        blocks.append(f"## {about.title}\n\nThe paper's {about.source}.")
        blocks.append(markdown_table(list(filled), list(zip(*filled.values(), strict=True))))
        notes = [f'- {row.network.note}' for row in chosen if row.network.note]
        blocks += ['\n'.join(notes)] if notes else []
    questions = Path(__file__).with_name('questions.md').read_text(encoding='utf-8')
    return '\n\n'.join([*blocks, _RELATIVES, questions])


def _name(row: MeasuredNetwork) -> str:
    network = row.network
    name = f'**{network.name}**' if network.name.startswith('HRNet') else network.name
    return f'[{name}](../configs/{network.config})' if network.is_ours else name


def _macs(row: MeasuredNetwork) -> str:
    drawn, run = (f'{macs / GIGA:,.2f}' for macs in (row.size.macs, row.size.macs_as_run))
    return drawn if drawn == run else f'{drawn} ({run})'


def _size(shape: Sequence[int]) -> str:
    return 'x'.join(map(str, shape))


def _paper(key: str) -> Callable[[MeasuredNetwork], str]:
    return lambda row: row.network.paper.get(key, '')


#: Heading and cell; a column without a single entry is left out.
_COLUMNS: tuple[tuple[str, Callable[[MeasuredNetwork], str]], ...] = (
    ('network', _name),
    ('input', lambda row: _size(row.shape)),
    ('params (M)', lambda row: f'{row.params / 1e6:.2f}'),
    ('MACs (2^30)', _macs),
    ('memory, inference (MiB)', lambda row: f'{row.memory.inference / _MIB:,.0f}'),
    ('memory, training (MiB)', lambda row: f'{row.memory.training / _MIB:,.0f}'),
    ('paper: params (M)', _paper('params')),
    ('paper: GFLOPs', _paper('gflops')),
    ('paper: memory, inference (GB)', _paper('memory')),
    ('paper: memory, training (GB)', _paper('training_memory')),
    ('paper: time (s)', _paper('seconds')),
    ('paper: {score}', _paper('score')),
    ('config', lambda row: '' if row.network.is_ours else f'`{row.network.config}`'),
)
