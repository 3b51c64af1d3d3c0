"""SegNet against the layers of the authors' prototxt, written out with torch's own unpooling."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hrnet_mm import SegNet

#: ``Models/segnet_train.prototxt`` of the authors' SegNet-Tutorial: outputs of each convolution, which is 3x3
#: with a bias and BN, ``P`` a pooling, ``U`` its unpooling; without the last, which gives the classes.
PROTOTXT = (
    *(64, 64, 'P', 128, 128, 'P', 256, 256, 256, 'P', 512, 512, 512, 'P', 512, 512, 512, 'P'),
    *('U', 512, 512, 512, 'U', 512, 512, 256, 'U', 256, 256, 128, 'U', 128, 64, 'U', 64),
)
CLASSIFIER = 64 * 9 * 11 + 11


class Written(nn.Module):
    """The prototxt without its last convolution, ``narrower`` times narrower."""

    def __init__(self, narrower: int) -> None:
        super().__init__()
        widths = [3, *(step // narrower for step in PROTOTXT if isinstance(step, int))]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])

    def forward(self, x: Tensor) -> Tensor:
        layers, chosen = iter(zip(self.convs, self.norms, strict=True)), []
        for step in PROTOTXT:
            if step == 'P':
                size = x.shape
                x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
                chosen.append((indices, size))
            elif step == 'U':
                indices, size = chosen.pop()
                x = F.max_unpool2d(x, indices, 2, output_size=size)
            else:
                conv, norm = next(layers)
                x = F.relu(norm(conv(x)))
        return x


def test_parameters_are_the_authors():
    with torch.device('meta'):
        ours, written = SegNet(), Written(narrower=1)
    count = sum(p.numel() for p in ours.parameters())
    assert count == sum(p.numel() for p in written.parameters())
    assert count + CLASSIFIER == 29_449_355
    assert sum(p.numel() for p in ours.features.parameters()) == 14_723_136


@pytest.mark.parametrize('size', [(64, 96), (45, 61), (1, 1)])
def test_outputs_and_gradients_are_the_written_ones(size):
    truth, ours = Written(narrower=16).double(), SegNet(base_channels=4).double()
    for kind in (nn.Conv2d, nn.BatchNorm2d):
        own, written = ([m for m in net.modules() if isinstance(m, kind)] for net in (ours, truth))
        for layer, same in zip(own, written, strict=True):
            layer.load_state_dict(same.state_dict())
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    (found,), expected = ours(image), truth(image)
    assert found.shape == (2, 4, *size)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    found.square().sum().backward(), expected.square().sum().backward()
    torch.testing.assert_close(ours.features[0].weight.grad, truth.convs[0].weight.grad, rtol=1e-6, atol=1e-9)


def test_deterministic_algorithms_train_it():
    torch.use_deterministic_algorithms(True)
    try:
        SegNet(base_channels=2)(torch.randn(2, 3, 32, 32))[0].sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)


def test_norms_are_what_the_config_says():
    model = SegNet(base_channels=4, norm_cfg=dict(type='GN', num_groups=2))
    assert {type(m) for m in model.modules() if 'Norm' in type(m).__name__} == {nn.GroupNorm}
    model.init_weights()


@pytest.mark.parametrize(
    ('kwargs', 'shape', 'message'),
    [
        (dict(base_channels=0), None, r'base_channels=0 is out of range; expected an integer from 1'),
        (dict(in_channels='RGB'), None, r"in_channels='RGB' is out of range"),
        (dict(base_channels=2), (1, 4, 32, 32), r'\(1, 4, 32, 32\) given to SegNet; expected \(N, 3, H, W\)'),
    ],
)
def test_bad_input_is_named(kwargs, shape, message):
    with pytest.raises(ValueError, match=message):
        SegNet(**kwargs)(torch.zeros(shape))
