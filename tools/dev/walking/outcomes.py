"""What became of each config of a walk: one record, files of them, and the page ``docs/swap_results.md``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.swap import SwapRequest

KINDS: Final = ('proven', 'refused', 'failed', 'unreadable')

#: Convolutional backbones that turn an image into feature maps, of mmdet's and mmseg's configs.
CNN_BACKBONES: Final = """
    BiSeNetV1 BiSeNetV2 CGNet CSPDarknet CSPNeXt ConvNeXt DDRNet Darknet DetectoRS_ResNet ERFNet EfficientNet
    FastSCNN HRNet HourglassNet ICNet MSCAN MobileNetV2 MobileNetV3 PIDNet RegNet Res2Net ResNeSt ResNeXt
    ResNet ResNetV1c SSDVGG STDCContextPathNet TIMMBackbone TridentResNet UNet
"""
#: What makes a model something else than a detector or segmentor of single images: a part, its type.
_OTHER_PARTS = ('tracker', 'track_head', 'language_model', 'text_encoder')
_OTHER_TYPES = ('BaseReID', 'ImageClassifier', 'DepthEstimator', 'Mask2FormerVideo')

_PAGE: Final = """# The swap over every shipped config

Made by `tools/dev/walk_swaps.py --arch {arch} --necks {necks}`. Every config that the four packages
ship (each `.py` under a package's configs that lies in no `_base_` folder) was given to the swap.

- *Proven*: HRNet was put under it, and the new model ran on small random images: forward, where the
  strides that heads believe in are compared with the maps they get; a loss of two images with random
  annotations, and its backward pass into every trainable weight of the backbone; and a prediction.
  Configs with equal models share a proof. To fit small images it lowers the numbers of proposals,
  samples and queries, sets score thresholds to 0, makes synchronised norms plain ones and starts
  all-zero weights at small random values; bottom-up pose runs at a quarter of its size.
- *Refused*: a part stands in the way; the tool names it and writes nothing. Models that fail in the
  same way with their own backbone are among these.
- *Failed*: anything else.
- *Unreadable*: even by the package that ships it.

{table}
"""
_CNN_NOTE: Final = """
Among the **{total} detectors and segmentors with an exchangeable CNN backbone**, **{proven}** were
proven: **{share:.1%}**. These are the configs of mmdet and mmseg that detect or segment in single
images and whose backbone is one of the convolutional networks that `tools/dev/walking/outcomes.py`
lists. Video trackers and models that read text are not among them; distillers, semi-supervised models
and heads tied to one CNN are, and those of them that are refused count as not swapped.
"""


@dataclass(frozen=True)
class Outcome:
    """One config.

    Attributes:
        name: As ``mmdet::faster_rcnn/….py``.
        kind: ``proven`` swapped, and it ran forward, a loss and a prediction; ``refused`` with a reason,
            and nothing would have been written; ``failed`` anything else; ``unreadable`` even by its own
            package; ``swapped`` while its proof is to come.
        part: Which config key stood in the way, or at which step it failed.
        reason: Why.
        key: Fingerprint of what was proven; configs with equal models share one proof.
        is_cnn: Whether it is a detector or segmentor with an exchangeable CNN backbone.
    """

    name: str
    kind: str
    part: str = ''
    reason: str = ''
    key: str = ''
    is_cnn: bool = False


def has_exchangeable_cnn(model: Mapping[str, Any]) -> bool:
    """Whether a model detects or segments in single images with a CNN as its backbone.

    Nothing is left out for being hard: distillers, semi-supervised models and heads tied to one CNN count.
    """
    if any(key in model for key in _OTHER_PARTS) or model.get('type') in _OTHER_TYPES:
        return False
    backbone, inner = model.get('backbone'), model.get('detector')
    if isinstance(backbone, Mapping):
        return str(backbone.get('type')).rpartition('.')[2] in CNN_BACKBONES.split()
    return isinstance(inner, Mapping) and has_exchangeable_cnn(inner)


def write_outcomes(path: Path, outcomes: Iterable[Outcome], *, arch: str) -> None:
    """Write a walk as JSON."""
    rows = [asdict(outcome) for outcome in outcomes]
    path.write_text(json.dumps({'arch': arch, 'outcomes': rows}, indent=1) + '\n', encoding='utf-8')


def count(outcomes: Iterable[Outcome], kind: str) -> int:
    """How many configs came to this."""
    return sum(outcome.kind == kind for outcome in outcomes)


def cnn_share(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """How many detectors and segmentors with an exchangeable CNN backbone were proven, and of how many."""
    cnns = [outcome for outcome in outcomes if outcome.is_cnn]
    return count(cnns, 'proven'), len(cnns)


def results_table(outcomes: Sequence[Outcome]) -> str:
    """The Markdown table of counts, a row for each package and one for all."""
    groups = {package: [o for o in outcomes if _package(o) == package] for package in CODEBASES}
    rows = [
        [name, str(len(group)), *(str(count(group, kind)) for kind in KINDS)]
        for name, group in [*groups.items(), ('all', list(outcomes))]
        if group
    ]
    return _table(('package', 'configs', *KINDS), rows)


def results_page(outcomes: Sequence[Outcome], request: SwapRequest) -> str:
    """The whole page in Markdown."""
    page = _PAGE.format(arch=request.arch, necks=request.necks, table=results_table(outcomes))
    proven, total = cnn_share(outcomes)
    if total:
        page += _CNN_NOTE.format(proven=proven, total=total, share=proven / total)
    page += f'\n## Refused\n\n{_refusals(o for o in outcomes if o.kind == "refused")}\n'
    for kind in ('unreadable', 'failed'):
        rows = [
            [f'`{o.name}`', _cell(o.reason if kind == 'unreadable' else f'{o.part}: {o.reason}')]
            for o in outcomes
            if o.kind == kind
        ]
        page += f'\n## {kind.capitalize()}\n\n{_table(("config", "why"), rows) if rows else "None."}\n'
    return page


def _refusals(outcomes: Iterable[Outcome]) -> str:
    """Every reason with how often it was given, the most frequent first in each package."""
    counts = Counter((_package(o), o.part, o.reason) for o in outcomes)
    order = list(CODEBASES)
    keys = sorted(counts, key=lambda key: (order.index(key[0]), -counts[key], key))
    rows = [[key[0], f'`{key[1]}`', _cell(key[2]), str(counts[key])] for key in keys]
    return _table(('package', 'what stands in the way', 'why', 'configs'), rows)


def _package(outcome: Outcome) -> str:
    return outcome.name.partition('::')[0]


def _cell(text: str) -> str:
    """Fit for a cell of a table, and the same wherever the packages are installed."""
    return re.sub(r"/[^\s'\"]*/(\.mim/configs|site-packages)/", '', text).replace('|', '\\|')


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return '\n'.join(f'| {" | ".join(row)} |' for row in (header, ['---'] * len(header), *rows))
