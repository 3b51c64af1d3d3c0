"""DeconvNet's size, its core and the images that it takes."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from hrnet_mm import DeconvNet

#: ``training/002_stage_2/stage_2_train.prototxt`` of the authors' DeconvNet: outputs and kernel of each layer
#: after the pooling of the fifth stage, all with a bias and BN.
CORE = [('Conv2d', 4096, 7), ('Conv2d', 4096, 1), ('ConvTranspose2d', 512, 7)]
DECODER = [512, 512, 512, 512, 512, 256, 256, 256, 128, 128, 64, 64, 64]
HEAD = dict(type='FCNHead', in_channels=64, channels=64, num_convs=0, concat_input=False, num_classes=21)


def convolutions(module: nn.Module) -> list[tuple[str, int, int]]:
    found = (m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)))
    return [(type(m).__name__, m.out_channels, m.kernel_size[0]) for m in found]


def test_layers_and_parameters_are_the_authors():
    import mmseg.models  # noqa: F401

    cfg = dict(type='EncoderDecoder', backbone=dict(type='hrnet_mm.DeconvNet'), decode_head=HEAD)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg | dict(test_cfg=dict(mode='whole')))
    assert sum(p.numel() for p in model.parameters()) == 251_805_653
    assert convolutions(model.backbone.core) == CORE
    assert convolutions(model.backbone.decoder) == [('ConvTranspose2d', width, 3) for width in DECODER]


@pytest.mark.parametrize('size', [(224, 224), (193, 250)])
def test_one_map_of_the_images_size_comes_out(size):
    model = DeconvNet(base_channels=2, core_channels=8)
    inner: list[torch.Tensor] = []
    model.core[3].register_forward_hook(lambda _, __, x: inner.append(x))
    (found,) = model(torch.randn(2, 3, *size))
    assert found.shape == (2, 2, *size)
    assert inner[0].shape[2:] == tuple(-(-side // 32) - 6 for side in size)
    found.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_too_small_images_are_named():
    image = torch.zeros(1, 3, 192, 224)
    with pytest.raises(ValueError, match=r'192x224 given to DeconvNet; expected at least 193 .*_size=7'):
        DeconvNet(base_channels=2, core_channels=8)(image)
    small = DeconvNet(base_channels=2, core_channels=8, core_kernel_size=3).eval()
    assert small(torch.zeros(1, 3, 65, 65))[0].shape == (1, 2, 65, 65)
    with pytest.raises(ValueError, match='core_kernel_size=9 is out of range'):
        DeconvNet(core_kernel_size=9)
