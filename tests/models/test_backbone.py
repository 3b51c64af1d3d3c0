"""HRNetBackbone against the HRNets of mmpose, mmseg, mmdet and mmpretrain with the same weights."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import PretrainedInit
from peers import (
    CODEBASES,
    TINY_CHANNELS,
    assert_close,
    build_ours,
    build_pair,
    build_peer,
    gradients,
    images,
    learnable,
    modes,
    scramble,
    stage,
    tiny,
)
from torch import nn

import hrnet_mm
from hrnet_mm import HRNetBackbone

GN = dict(type='GN', num_groups=2)
CONV_WS = dict(type='ConvWS')
PRETRAINED = dict(type='Pretrained', checkpoint='unused.pth')


STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def statistics_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """All running statistics and counters by name."""
    return {k: v for k, v in module.state_dict().items() if k.split('.')[-1] in STATISTICS}


# What a config may change, by arguments that all four packages understand.
PLAIN = dict(norm_eval=False)
TRAINING = [
    *((scope, PLAIN) for scope in CODEBASES),
    ('mmpretrain', PLAIN | dict(in_channels=1)),
    ('mmdet', PLAIN | dict(in_channels=6)),
    ('mmpose', PLAIN | dict(norm_cfg=GN)),
    ('mmdet', PLAIN | dict(norm_cfg=dict(type='BN', momentum=0.02, eps=1e-3, requires_grad=True))),
    ('mmseg', PLAIN | dict(norm_cfg=dict(type='BN', requires_grad=False))),
    ('mmpose', PLAIN | dict(conv_cfg=CONV_WS)),
    ('mmpretrain', PLAIN | dict(conv_cfg=dict(type='Conv2d'))),
    ('mmseg', dict(norm_eval=True)),
    ('mmpose', PLAIN | dict(with_cp=True)),
    ('mmdet', PLAIN | dict(with_cp=True)),
    ('mmpose', dict(extra=tiny(multiscale_output=True))),
    ('mmseg', PLAIN | dict(multiscale_output=False)),
    ('mmpretrain', PLAIN | dict(multiscale_output=False)),
    ('mmpose', dict(extra=tiny() | dict(upsample=dict(mode='bilinear', align_corners=False)))),
    ('mmpose', dict(extra=tiny() | dict(upsample=dict(mode='bilinear', align_corners=True)))),
]


@pytest.mark.parametrize(('scope', 'kwargs'), TRAINING, ids=str)
@pytest.mark.filterwarnings('ignore:.*use_reentrant')
def test_training_equals_the_package(scope, kwargs):
    """One forward and backward pass in training mode: keys, outputs, gradients, statistics."""
    peer, ours = build_pair(scope, **copy.deepcopy(kwargs))
    assert list(ours.state_dict()) == list(peer.state_dict())
    assert learnable(ours) == learnable(peer)

    peer.double().train(), ours.double().train()
    assert modes(ours) == modes(peer)
    x = images(channels=kwargs.get('in_channels', 3))
    found, truth = gradients(ours, x), gradients(peer, x)
    assert_close(found, truth, rel=1e-9)
    # otherwise distributed training stops with an error about unused parameters
    assert [name for name, p in ours.named_parameters() if p.requires_grad and found[name] is None] == []
    # under checkpointing a norm sees its batch twice, in all packages and so in ours
    assert_close(statistics_of(ours), statistics_of(peer), rel=1e-12)
    assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-12)


def test_sync_norms_equal_the_packages():
    """They train on GPUs only."""
    peer, ours = build_pair('mmseg', norm_cfg=dict(type='SyncBN'))
    assert list(ours.state_dict()) == list(peer.state_dict())
    peer.eval(), ours.eval()
    x = images(dtype=torch.float32)
    with torch.no_grad():
        assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-5)


# -- freezing -------------------------------------------------------------------------------------


# the other two cannot freeze stages
FREEZING = [('mmseg', -1, True), ('mmseg', 0, False), ('mmpose', 1, False)]
FREEZING += [('mmseg', 2, True), ('mmpose', 3, True), ('mmseg', 4, False)]


@pytest.mark.parametrize(('scope', 'frozen_stages', 'norm_eval'), FREEZING)
@pytest.mark.filterwarnings('ignore:norm_eval=True freezes')
def test_freezing_equals_the_package(scope, frozen_stages, norm_eval):
    peer, ours = build_pair(scope, frozen_stages=frozen_stages, norm_eval=norm_eval)
    assert learnable(ours) == learnable(peer)
    assert modes(ours) == modes(peer)
    for mode in (True, False, True):
        peer.train(mode), ours.train(mode)
        assert learnable(ours) == learnable(peer)
        assert modes(ours) == modes(peer)
    peer.double(), ours.double()
    x = images()
    assert_close(gradients(ours, x), gradients(peer, x), rel=1e-9)
    assert_close(statistics_of(ours), statistics_of(peer), rel=1e-12)


# -- norms in eval mode ---------------------------------------------------------------------------


def warnings_of(action) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        action()
    return [str(w.message) for w in caught]


def test_mmdet_without_pretrained_weights_warns_and_trains_norms():
    with pytest.warns(UserWarning, match=r'scope mmdet .*norm_eval=False is used.*Set norm_eval=True'):
        model = build_ours('mmdet')
    assert model.norm_eval is False
    assert all(modes(model.train()).values())


def test_mmdet_with_pretrained_weights_keeps_norms_as_mmdet_does(tmp_path):
    """In every spelling of pretrained, and the weights arrive."""
    pretrained = PRETRAINED | dict(checkpoint=str(tmp_path / 'weights.pth'))
    peer = scramble(build_peer('mmdet', init_cfg=pretrained))
    torch.save(peer.state_dict(), tmp_path / 'weights.pth')
    assert warnings_of(lambda: build_ours('mmdet', init_cfg=pretrained)) == []
    spellings = [pretrained, [pretrained], [pretrained | dict(type=PretrainedInit)]]
    for arguments in (*(dict(init_cfg=cfg) for cfg in spellings), dict(pretrained=pretrained['checkpoint'])):
        ours = build_ours('mmdet', **arguments)
        assert ours.norm_eval is True
        ours.init_weights()
        assert_close(dict(ours.state_dict()), dict(peer.state_dict()), rel=0)
        assert warnings_of(ours.train) == []
        peer.train()
        assert modes(ours) == modes(peer)
        assert not any(modes(ours).values())


def test_frozen_untrained_statistics_are_warned_about_once():
    model = build_ours('mmseg', norm_eval=True)
    with pytest.warns(UserWarning, match=r'never trained .*diverge\. Set norm_eval=False, or give init_cfg'):
        model.train()
    assert not any(modes(model).values())
    assert warnings_of(model.train) == []


def test_what_is_silent():
    """Other scopes' defaults; frozen statistics that were trained, and norms that have none."""
    for scope in (None, 'mmpose', 'mmseg', 'mmpretrain'):
        assert warnings_of(lambda: build_ours(scope).train()) == []  # noqa: B023
    model, trained = build_ours('mmseg', norm_eval=True), build_ours('mmseg').train()
    with torch.no_grad():
        trained(images(dtype=torch.float32))
    model.load_state_dict(trained.state_dict())
    assert warnings_of(model.train) == []
    assert warnings_of(build_ours('mmseg', norm_eval=True, norm_cfg=GN).train) == []


def losses_from_random_weights(steps: int, **kwargs) -> list[float]:
    """Of mmdet's optimiser, labelling the pixels of random images; as deep as a real HRNet, but narrow."""
    extra = dict(
        stage1=stage(1, 'BOTTLENECK', (4,), (16,)),
        stage2=stage(1, 'BASIC', (4, 4), (4, 8)),
        stage3=stage(4, 'BASIC', (4, 4, 4), (4, 8, 16)),
        stage4=stage(3, 'BASIC', (4, 4, 4, 4), TINY_CHANNELS),
    )
    model = build_ours('mmdet', extra=extra, **kwargs)
    model.init_weights()
    heads = nn.ModuleList(nn.Conv2d(c, 5, 1) for c in model.out_channels)
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=1e-4)
    model.train()
    found = []
    for _ in range(steps):
        loss = torch.zeros(())
        for head, y in zip(heads, model(images(4, size=(64, 64), dtype=torch.float32)), strict=True):
            labels = torch.arange(y[:, 0].numel()).view_as(y[:, 0]) % 5
            loss = loss + nn.functional.cross_entropy(head(y), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.filterwarnings('ignore:HRNetBackbone in scope mmdet', 'ignore:norm_eval=True freezes')
def test_the_warnings_are_true():
    """Training from random weights diverges on untrained statistics, and not as we train instead."""
    assert not losses_from_random_weights(4, norm_eval=True)[-1] < 1e4
    losses = losses_from_random_weights(16)
    assert all(loss < 3 * losses[0] for loss in losses), losses  # nan is not less, either
    assert losses[-1] < losses[0], losses


# -- initialisation -------------------------------------------------------------------------------


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), GN], ids=lambda cfg: cfg['type'])
def test_zero_init_residual_equals_mmpose_and_spares_pretrained_weights(norm_cfg, tmp_path):
    def initial(build, **kwargs):
        torch.manual_seed(3)
        model = build('mmpose', zero_init_residual=True, norm_cfg=norm_cfg, **kwargs)
        model.init_weights()
        return dict(model.state_dict())

    truth = initial(build_peer)
    assert_close(initial(build_ours), truth, rel=0)
    assert any((value == 0).all() for key, value in truth.items() if key.endswith('n2.weight'))
    weights = dict(scramble(build_ours('mmpose', norm_cfg=norm_cfg)).state_dict())
    torch.save(weights, tmp_path / 'weights.pth')
    assert_close(initial(build_ours, pretrained=str(tmp_path / 'weights.pth')), weights, rel=0)


@pytest.mark.parametrize('pretrained', [True, 1, {'type': 'Pretrained'}])
def test_pretrained_is_a_path(pretrained: object) -> None:
    with pytest.raises(ValueError, match=r'pretrained=.*: expected the path or URL of a checkpoint'):
        build_ours(pretrained=pretrained)


def test_models_alone_read_every_publishers_weights(tmp_path):
    """``hrnet_mm.checkpoints``, which imports ``models``, comes in through our registry when it is needed."""
    weights = scramble(HRNetBackbone('w18_small_v1')).state_dict()
    torch.save({f'model.backbone.{key}': value for key, value in weights.items()}, tmp_path / 'weights.pth')
    code = f"""
        import sys, types
        package = sys.modules['hrnet_mm'] = types.ModuleType('hrnet_mm')
        package.__path__ = [{str(Path(hrnet_mm.__file__).parent)!r}]
        from hrnet_mm.models import HRNetBackbone
        above = [name for name in sys.modules if name.startswith('hrnet_mm.')]
        print(sorted(name for name in above if not name.startswith(('hrnet_mm.models', 'hrnet_mm.registry'))))
        model = HRNetBackbone('w18_small_v1', pretrained={str(tmp_path / 'weights.pth')!r})
        model.init_weights()
        print(model.conv1.weight.flatten()[:3].tolist())
    """
    command = [sys.executable, '-c', textwrap.dedent(code)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    truth = weights['conv1.weight'].flatten()[:3].tolist()
    assert [line for line in out.splitlines() if line.startswith('[')] == ['[]', str(truth)]


# -- outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])  # bilinear, nearest
@pytest.mark.parametrize('indices', [(1,), (0, 2), (1, 2, 3)])
def test_out_indices_pick_the_packages_streams(scope, indices):
    peer = scramble(build_peer(scope)).double()
    ours = build_ours(scope, out_indices=indices).double()
    rows = [f'stage4.1.fuse_layers.{i}.' for i in range(4) if i not in indices]  # of the last fusion
    kept = {key: value for key, value in peer.state_dict().items() if not key.startswith(tuple(rows))}
    assert list(ours.state_dict()) == list(kept)
    ours.load_state_dict(kept)
    peer.eval(), ours.eval()
    x = images()
    with torch.no_grad():
        truth = peer(x)
        assert_close(ours(x), [truth[i] for i in indices], rel=1e-12)
    assert ours.out_channels == tuple(TINY_CHANNELS[i] for i in indices)
    assert all(gradient is not None for gradient in gradients(ours.train(), x).values())


# -- sizes ----------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def mmseg_pair() -> tuple[nn.Module, nn.Module]:
    peer, ours = build_pair('mmseg')
    peer.double().eval(), ours.double().eval()
    return peer, ours


@settings(max_examples=25, deadline=None)
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_any_size_equals_mmseg_in_its_bilinear_mode(mmseg_pair, size):
    peer, ours = mmseg_pair
    x = images(1, size=size)
    before = x.clone()
    with torch.no_grad():
        assert_close(ours(x), tuple(peer(x)), rel=1e-12)
    assert torch.equal(x, before)


# -- bad input ------------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    (dict(frozen_stages=5), r'frozen_stages=5 is out of range; expected an integer from -1 to 4'),
    (dict(in_channels='3'), r"in_channels='3' is out of range; expected an integer from 1 to 65536"),
    (dict(out_indices=(1, 0)), r'out_indices=\(1, 0\) is not an ascending choice'),
    (
        dict(out_indices=(0, 1), multiscale_output=False),
        r'out_indices=\(0, 1\) is not an ascending choice from \(0,\) \(multiscale_output=False\)',
    ),
    (dict(upsample_cfg=dict(mode='area')), r"upsample_cfg\.mode='area' is unknown; expected nearest or"),
    (dict(precision='float16'), r"precision='float16' is unknown; expected float32 or bfloat16"),
    (dict(with_cp=(True,)), r'with_cp=\(True,\) names no stages; expected True, False or some of'),
    (dict(pretrained='a.pth', init_cfg=PRETRAINED), r"pretrained='a\.pth' and init_cfg=.*: give only one"),
]


@pytest.mark.parametrize(('kwargs', 'message'), BAD_ARGUMENTS)
def test_a_bad_argument_is_named_with_value_and_expectation(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HRNetBackbone(extra=tiny(), **kwargs)


def test_an_image_of_wrong_rank_or_channels_is_named():
    for shape in ((3, 32, 32), (2, 4, 32, 32)):
        expected = rf'image of shape {re.escape(str(shape))} .*expected \(N, 3, H, W\) \(in_channels=3\)'
        with pytest.raises(ValueError, match=expected):
            build_ours()(torch.zeros(shape))


@pytest.mark.parametrize('stages', [(), (1,), (2, 4), True])
def test_checkpointing_of_chosen_stages(stages):
    """The same gradients, and those stages' blocks recompute."""
    plain, chosen = build_ours('mmseg').double(), build_ours('mmseg', with_cp=stages).double()
    chosen.load_state_dict(plain.state_dict())
    x = images()
    assert_close(gradients(chosen, x), gradients(plain, x), rel=1e-9)
    found = {
        1 if name.startswith('layer1') else int(name.removeprefix('stage')[0])
        for name, module in chosen.named_modules()
        if getattr(module, 'with_cp', False)
    }
    assert found == ({1, 2, 3, 4} if stages is True else set(stages))


# -- how it computes ---------------------------------------------------------------------------------


def test_bfloat16_is_autocast_with_float32_outputs():
    full, half = build_ours('mmseg'), build_ours('mmseg', precision='bfloat16')
    half.load_state_dict(full.state_dict())
    x = images(dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        truth = gradients(full, x)
        outputs = tuple(full(x))
    found = half(x)
    assert {y.dtype for y in found} == {torch.float32}
    # two memory formats round bfloat16's sums differently, and norms over few samples magnify that
    assert_close(tuple(found), tuple(y.float() for y in outputs), rel=0.1)
    assert {g.dtype for g in gradients(half, x).values()} == {torch.float32}
    assert list(gradients(half, x)) == list(truth)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert_close(tuple(half(x)), outputs, rel=1e-6)  # nothing more than what is on already


@pytest.mark.parametrize('training', [False, True])
def test_channels_last_is_a_choice_of_speed(training):
    """The same numbers but for roundings, which norms over few samples magnify in training."""
    models = [build_ours('mmseg', channels_last=choice).train(training) for choice in (True, False, None)]
    x = images(dtype=torch.float32)
    outputs = []
    for model in models:
        model.load_state_dict(models[0].state_dict())
        outputs.append(tuple(copy.deepcopy(model)(x)))
    assert_close(outputs[0], outputs[1], rel=1e-4 if training else 1e-5)
    assert_close(outputs[2], outputs[1], rel=0 if training else 1e-5)
    assert all(y.is_contiguous() for y in outputs[0])
