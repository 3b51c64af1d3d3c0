"""The encoder against torchvision's VGG-16 with batch norm, and unpooling against torch's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import vgg16_bn
from torchvision.models.vgg import cfgs, make_layers

from hrnet_mm import DeconvNet, SegNet
from hrnet_mm.relatives.vgg16 import Pooled, max_unpool

WIDTH, CORE = 4, 24


class SmallVGG(nn.Module):
    """torchvision's ``vgg16_bn``, sixteen times narrower: its constructor takes no width."""

    def __init__(self, *, batch_norm: bool = True) -> None:
        super().__init__()
        narrow = [c if c == 'M' else c * WIDTH // 64 for c in cfgs['D']]
        self.features = make_layers(narrow, batch_norm=batch_norm)
        inner = [nn.Linear(8 * WIDTH * 49, CORE), nn.ReLU(), nn.Dropout(), nn.Linear(CORE, CORE)]
        self.classifier = nn.Sequential(*inner, nn.ReLU(), nn.Dropout(), nn.Linear(CORE, 10))
        for name, value in self.state_dict().items():
            if not name.endswith('num_batches_tracked'):
                value.copy_(torch.rand_like(value) + 0.5 if 'var' in name else torch.randn_like(value) / 5)

    def save(self, folder: Path) -> dict[str, str]:
        """Its weights as an ``init_cfg``."""
        torch.save(self.state_dict(), folder / 'vgg.pth')
        return dict(type='Pretrained', checkpoint=str(folder / 'vgg.pth'))


def assert_close(found: Tensor, truth: Tensor) -> None:
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-5 * truth.abs().max().item())


def test_keys_and_shapes_are_torchvisions():
    with torch.device('meta'):
        truth, ours, small = vgg16_bn(), SegNet(), SmallVGG()
    assert list(small.state_dict()) == list(truth.state_dict())
    shapes = {key: value.shape for key, value in truth.features.state_dict().items()}
    assert {key: value.shape for key, value in ours.features.state_dict().items()} == shapes


@pytest.mark.parametrize('name', ['SegNet', 'DeconvNet'])
def test_torchvisions_weights_give_its_maps(name, tmp_path):
    truth = SmallVGG().eval()
    core = dict(core_channels=CORE) if name == 'DeconvNet' else {}
    cfg = dict(type=f'hrnet_mm.{name}', base_channels=WIDTH, init_cfg=truth.save(tmp_path), **core)
    ours = MODELS.build(cfg).eval()
    ours.init_weights()
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        x = truth.features(image)
        assert_close(ours.encode(image)[0], x)
        if core:
            fc6, fc7 = ours.core[0], ours.core[3]
            assert_close(fc6(x).flatten(1), truth.classifier[0](x.flatten(1)))
            y = torch.randn(2, CORE)
            assert_close(fc7(y[..., None, None]).flatten(1), truth.classifier[3](y))
    last = ours.decoder[-1][0]
    assert last.weight.std().item() == pytest.approx((2 / (9 * WIDTH)) ** 0.5, rel=0.2)  # Kaiming
    assert last.bias.abs().max() == 0


def test_another_networks_weights_are_refused(tmp_path):
    no_norms = SmallVGG(batch_norm=False).save(tmp_path)
    with pytest.raises(ValueError, match=r'features\.1\.weight is missing .* SegNet expected .*vgg16_bn'):
        SegNet(base_channels=WIDTH, init_cfg=no_norms).init_weights()
    narrow = SmallVGG().save(tmp_path)
    with pytest.raises(ValueError, match=r'is of shape \(4, 3, 3, 3\) .* \(8, 3, 3, 3\): .*base_channels=8'):
        DeconvNet(base_channels=8, core_channels=8, init_cfg=narrow).init_weights()


@pytest.mark.parametrize('size', [(8, 12), (7, 5), (1, 1)])
def test_unpooling_is_torchs(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    pooled, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    ours, theirs = (pooled.clone().requires_grad_() for _ in range(2))
    found = max_unpool(ours, Pooled(indices, x.shape))
    truth = F.max_unpool2d(theirs, indices, 2, output_size=x.shape)
    assert torch.equal(found, truth)
    (found * x).sum().backward(), (truth * x).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)
