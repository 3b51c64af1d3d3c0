"""The parallel streams after each stage in one figure: figure 2 of the paper with a picture going through."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.config import Config
from torch import Tensor, nn

from ..config.build import ImageFormat, build_model, build_trained
from ..config.errors import ConfigError
from ..config.files import require_file
from ..data.images import pixel_limit
from ..data.loading import ImageLoader
from ..models import HRNetBackbone
from ..utils import atomic_write
from .canvas import Image

#: What ends each stage, fusion included: its output is what the next stage starts from.
STAGES = ('layer1', 'stage2', 'stage3', 'stage4')
#: Pixels of the image per pixel of a stream.
STRIDES = (4, 8, 16, 32)
#: The darkest and the brightest of a map: borders and single pixels would leave no contrast for the rest.
_PERCENTILES = (1, 99)
_CAPTION = 'root mean square over channels, each map from its own 1st to its own 99th percentile'
_UNUSED = 'not computed:\nno head asks for it'
_PANEL = 2.3  # inches, of the longer side
_AROUND = (0.4, 1.1)  # inches beside all panels, and above and below


class StreamMap(NamedTuple):
    """One stream after one stage.

    Attributes:
        stage: 1 to 4.
        stream: 0 (stride 4) to 3 (stride 32).
        channels: of the feature map.
        strength: root mean square over the channels, ``(ceil(H / stride), ceil(W / stride))``, float32: how
            strongly anything answers there.
    """

    stage: int
    stream: int
    channels: int
    strength: npt.NDArray[np.float32]


def backbone_of(model: nn.Module) -> HRNetBackbone:
    """The model's ``HRNetBackbone``.

    Raises:
        ConfigError: if it has none.
    """
    for module in model.modules():
        if isinstance(module, HRNetBackbone):
            return module
    raise ConfigError(
        key='model.backbone.type',
        value=type(getattr(model, 'backbone', model)).__name__,
        expected='HRNetBackbone; tools/swap_backbone.py puts one into other configs',
    )


@torch.no_grad()
def stream_maps(backbone: HRNetBackbone, images: Tensor) -> list[StreamMap]:
    """Run the backbone and look at every stream after every stage.

    Args:
        backbone: in eval mode.
        images: ``(1, in_channels, H, W)``, normalised already.

    Returns:
        By stage, then by stream. After the last stage a stream is missing that no head asked for: the
        backbone doesn't compute it (``out_indices``).

    Raises:
        ConfigError: if the backbone takes images of another number of channels.
    """
    if images.shape[1] != backbone.in_channels:
        raise ConfigError(
            key='model.backbone.in_channels', value=backbone.in_channels, expected=f'{images.shape[1]}'
        )
    found: list[StreamMap] = []
    stages = [getattr(backbone, name) for name in STAGES]

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        streams = [output] if isinstance(output, Tensor) else output
        number = 1 + stages.index(module)
        indices = backbone.out_indices if number == len(STAGES) else range(len(streams))
        for stream, x in zip(indices, streams, strict=True):
            # summed up at once: what comes next may write over it
            strength = x[0].detach().float().square().mean(dim=0).sqrt().cpu().numpy()
            found.append(StreamMap(number, stream, x.shape[1], strength))

    with ExitStack() as hooks:
        for stage in stages:
            hooks.enter_context(stage.register_forward_hook(look))
        backbone(images)
    return found


def draw_streams(image: Image, maps: Sequence[StreamMap], *, title: str = '') -> Figure:
    """One figure: the image at the left, stages as columns, streams as rows.

    Each map lies over the image's own area, so that places can be compared, and is shown from its own darkest
    to its own brightest (1st and 99th percentile): colours compare places within a map, not maps.

    Args:
        image: RGB, ``(H, W, 3)``.
        maps: what :func:`stream_maps` gives.
        title: above all.
    """
    height, width = image.shape[:2]
    panel = np.array([width, height]) * _PANEL / max(height, width)
    columns, rows = 1 + len(STAGES), len(STRIDES)
    figure = Figure(figsize=tuple(1.12 * panel * (columns, rows) + _AROUND), layout='compressed')
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10, wrap=True)
    figure.supxlabel(_CAPTION, fontsize=8)
    axes = figure.subplots(rows, columns, squeeze=False)
    axes[0, 0].imshow(image)
    for stage, stream, channels, strength in maps:
        (high, wide), stride = strength.shape, STRIDES[stream]
        low, top = np.percentile(strength, _PERCENTILES)
        extent = (0, wide * stride, high * stride, 0)
        axis = axes[stream, stage]
        axis.imshow(strength, cmap='magma', vmin=low, vmax=top, interpolation='nearest', extent=extent)
        axis.set_title(f'{channels} x {high} x {wide}', fontsize=7)
    for row, stride in enumerate(STRIDES):
        axes[row, 0].set_ylabel(f'stride {stride}', fontsize=9)
        if not axes[row, -1].images:
            axes[row, -1].set_title(_UNUSED, y=0.4, fontsize=8, color='gray')
    for column, axis in enumerate(axes[0]):
        name = f'stage {column}' if column else 'image'
        axis.set_title(f'{name}\n{axis.get_title()}'.strip(), fontsize=9)
    for axis in axes.flat:
        axis.set(xlim=(0, width), ylim=(height, 0), aspect='equal', xticks=[], yticks=[], frame_on=False)
    return figure


def show_features(
    cfg: Config,
    image: str | Path | Image,
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    shape: tuple[int, int] | None = None,
) -> Path:
    """Draw every stream after every stage of a config's backbone for one image.

    Args:
        cfg: A config with an ``HRNetBackbone``, of any of the four packages.
        image: A file, read as the config's test pipeline does, or RGB ``(H, W, 3)``; any size. Its pixels are
            normalised as the config's data preprocessor does.
        out: The PNG file.
        checkpoint: Path or URL of the weights; without, they are random.
        shape: Height and width that it is resized to first.

    Returns:
        The file.

    Raises:
        ConfigError: if an argument is wrong, the image cannot be read, or the model has no ``HRNetBackbone``.
        CheckpointError: if the weights are unreadable or of another network.
    """
    target = require_file(out, key='--out', ending='.png')
    loader = ImageLoader.of(cfg)
    with pixel_limit(cfg):
        pixels = loader.load(image, key='IMAGE')['img']
    if shape is not None:
        pixels = cv2.resize(pixels, shape[::-1])
    model = build_model(cfg) if checkpoint is None else build_trained(cfg, checkpoint)
    maps = stream_maps(backbone_of(model), ImageFormat.of(cfg).inputs(pixels))
    weights = 'random weights' if checkpoint is None else Path(checkpoint).name
    title = f'{Path(cfg.filename or "config").stem}, {weights}'
    with atomic_write(target) as aside:
        draw_streams(loader.visible(pixels), maps, title=title).savefig(aside, dpi=150, format='png')
    return target
