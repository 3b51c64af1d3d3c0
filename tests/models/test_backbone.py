"""HRNetBackbone against the HRNets of mmpose, mmseg, mmdet and mmpretrain with the same weights."""

from __future__ import annotations

import copy
import re
import warnings

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
    in_scope,
    learnable,
    models_of,
    modes,
    objective,
    scramble,
    stage,
    tiny,
)
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hrnet_mm import HRNetBackbone
from hrnet_mm.models.blocks import ResidualBlock

GN = dict(type='GN', num_groups=2)
CONV_WS = dict(type='ConvWS')
PRETRAINED = dict(type='Pretrained', checkpoint='unused.pth')


STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def statistics_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """All running statistics and counters by name."""
    return {k: v for k, v in module.state_dict().items() if k.split('.')[-1] in STATISTICS}


def multiscale(scope: str, wanted: bool) -> dict:
    """How a config of that package asks for all streams, or for the finest alone."""
    if scope == 'mmpose':
        return dict(extra=tiny(multiscale_output=wanted))
    return dict(multiscale_output=wanted)


# What a config may change: name -> arguments that all four packages understand.
VARIANTS = {
    'plain': {},
    'gray': dict(in_channels=1),
    'six channels': dict(in_channels=6),
    'GN': dict(norm_cfg=GN),
    'BN with its options': dict(norm_cfg=dict(type='BN', momentum=0.02, eps=1e-3, requires_grad=True)),
    'frozen affine': dict(norm_cfg=dict(type='BN', requires_grad=False)),
    'ConvWS': dict(conv_cfg=CONV_WS),
    'Conv2d by name': dict(conv_cfg=dict(type='Conv2d')),
    'norm_eval': dict(norm_eval=True),
    'checkpointing': dict(with_cp=True),
}


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.filterwarnings('ignore:.*use_reentrant')
def test_training_equals_the_package(scope, variant):
    """One forward and backward pass in training mode: keys, outputs, gradients, statistics."""
    kwargs = dict(norm_eval=False) | VARIANTS[variant]
    peer, ours = build_pair(scope, **copy.deepcopy(kwargs))
    assert list(ours.state_dict()) == list(peer.state_dict())
    assert learnable(ours) == learnable(peer)

    peer.double().train(), ours.double().train()
    assert modes(ours) == modes(peer)
    x = images(channels=kwargs.get('in_channels', 3))
    assert_close(gradients(ours, x), gradients(peer, x), rel=1e-9)
    # under checkpointing a norm sees its batch twice, in all packages and so in ours
    assert_close(statistics_of(ours), statistics_of(peer), rel=1e-12)
    assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-12)


# Standardised weights magnify the roundings of a whole network (outputs here are of 1e15). SyncBN trains on
# GPUs only.
FLOAT32 = [
    ('plain', False, 1e-5),
    ('plain', True, 1e-5),
    ('GN', False, 1e-5),
    ('GN', True, 1e-5),
    ('ConvWS', False, 1e-4),
    ('ConvWS', True, 1e-5),
    ('SyncBN', False, 1e-5),
]


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.parametrize(('variant', 'training', 'rel'), FLOAT32)
def test_float32_outputs_equal_the_package(scope, variant, training, rel):
    kwargs = VARIANTS.get(variant, dict(norm_cfg=dict(type='SyncBN')))
    peer, ours = build_pair(scope, norm_eval=False, **copy.deepcopy(kwargs))
    assert list(ours.state_dict()) == list(peer.state_dict())
    peer.train(training), ours.train(training)
    x = images(dtype=torch.float32)
    with torch.no_grad():
        assert_close(tuple(ours(x)), tuple(peer(x)), rel=rel)


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.parametrize('wanted', [True, False])
def test_multiscale_output_equals_the_package(scope, wanted):
    peer, ours = build_pair(scope, norm_eval=False, **multiscale(scope, wanted))
    assert list(ours.state_dict()) == list(peer.state_dict())
    peer.double(), ours.double()
    x = images()
    truth = tuple(peer(x))
    assert len(truth) == (4 if wanted else 1)
    assert_close(ours(x), truth, rel=1e-12)
    assert_close(gradients(ours, x), gradients(peer, x), rel=1e-9)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('wanted', [True, False])
def test_mmposes_upsample_entry_is_honoured(align_corners, wanted):
    upsample = dict(mode='bilinear', align_corners=align_corners)
    extra = tiny(multiscale_output=wanted) | dict(upsample=upsample)
    peer, ours = build_pair('mmpose', extra=extra)
    peer.double(), ours.double()
    x = images()
    assert_close(ours(x), peer(x), rel=1e-12)
    assert_close(gradients(ours, x), gradients(peer, x), rel=1e-9)


@pytest.mark.parametrize('scope', CODEBASES)
def test_state_dicts_travel_between_packages(scope):
    """Weights of one package load into ours built in any other scope."""
    weights = scramble(build_peer(scope, **multiscale(scope, True))).state_dict()
    for other in CODEBASES:
        ours = build_ours(other, norm_eval=False, multiscale_output=True)
        assert list(ours.state_dict()) == list(weights)
        ours.load_state_dict(weights, strict=True)


# -- checkpointing --------------------------------------------------------------------------------


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), GN], ids=lambda cfg: cfg['type'])
def test_checkpointing_changes_no_gradient(norm_cfg):
    plain = scramble(build_ours('mmseg', norm_cfg=norm_cfg)).double()
    recomputing = build_ours('mmseg', norm_cfg=norm_cfg, with_cp=True).double()
    recomputing.load_state_dict(plain.state_dict())
    x = images()
    assert_close(gradients(recomputing, x), gradients(plain, x), rel=1e-10)


# -- freezing -------------------------------------------------------------------------------------


@pytest.mark.parametrize('scope', ['mmseg', 'mmpose'])  # the other two cannot freeze stages
@pytest.mark.parametrize('frozen_stages', range(-1, 5))
@pytest.mark.parametrize('norm_eval', [False, True])
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


@pytest.mark.parametrize('frozen_stages', range(-1, 5))
def test_training_moves_exactly_what_is_not_frozen(frozen_stages):
    parts = [('conv1', 'bn1', 'conv2', 'bn2'), ('layer1', 'transition1')]
    parts += [('stage2', 'transition2'), ('stage3', 'transition3'), ('stage4',)]
    frozen = {name for group in parts[: frozen_stages + 1] for name in group}

    model = scramble(build_ours('mmseg', frozen_stages=frozen_stages)).train()
    before = copy.deepcopy(model.state_dict())
    parameters = [p for p in model.parameters() if p.requires_grad]
    if parameters:
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        objective(model(images(dtype=torch.float32))).backward()
        optimizer.step()
    moved = {k.split('.')[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {name for group in parts for name in group} - frozen


@pytest.mark.parametrize('mode', [True, False])
def test_train_returns_the_model(mode):
    model = build_ours('mmpose')
    assert model.train(mode) is model
    assert model.eval() is model


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


@pytest.mark.parametrize('scope', [None, 'mmpose', 'mmseg', 'mmpretrain'])
def test_other_scopes_do_not_warn(scope):
    def build_and_train():
        build_ours(scope).train()

    assert warnings_of(build_and_train) == []


@pytest.mark.parametrize(
    'init_cfg',
    [PRETRAINED, [PRETRAINED], [PRETRAINED | dict(type=PretrainedInit)], PRETRAINED | dict(prefix='a.')],
)
def test_every_spelling_of_pretrained_counts(init_cfg):
    model = build_ours('mmdet', init_cfg=init_cfg)
    assert model.norm_eval is True


def test_mmdet_with_pretrained_weights_keeps_norms_as_mmdet_does():
    peer = build_peer('mmdet', init_cfg=PRETRAINED)
    assert warnings_of(lambda: build_ours('mmdet', init_cfg=PRETRAINED)) == []
    ours = build_ours('mmdet', init_cfg=PRETRAINED)
    assert ours.norm_eval is True
    ours.load_state_dict(scramble(peer).state_dict())
    peer.train(), ours.train()
    assert modes(ours) == modes(peer)
    assert not any(modes(ours).values())


@pytest.mark.parametrize('scope', [None, *CODEBASES])
def test_the_older_spelling_of_pretrained_is_read(scope):
    model = build_ours(scope, pretrained='unused.pth')
    assert model.init_cfg == PRETRAINED
    assert model.norm_eval is (scope == 'mmdet')


def test_pretrained_weights_are_loaded(tmp_path):
    peer = scramble(build_peer('mmdet'))
    torch.save(peer.state_dict(), tmp_path / 'weights.pth')
    ours = build_ours('mmdet', init_cfg=PRETRAINED | dict(checkpoint=str(tmp_path / 'weights.pth')))
    ours.init_weights()
    assert_close(dict(ours.state_dict()), dict(peer.state_dict()), rel=0)
    assert warnings_of(ours.train) == []


@pytest.mark.parametrize('scope', [None, *CODEBASES])
def test_frozen_untrained_statistics_are_warned_about_once(scope):
    model = build_ours(scope, norm_eval=True)
    with pytest.warns(UserWarning, match=r'never trained .*diverge\. Set norm_eval=False, or give init_cfg'):
        model.train()
    assert not any(modes(model).values())
    assert warnings_of(model.train) == []


@pytest.mark.parametrize('scope', [None, *CODEBASES])
def test_trained_statistics_may_be_frozen_silently(scope):
    model = build_ours(scope, norm_eval=True)
    with torch.no_grad():
        trained = build_ours(scope, norm_eval=False).train()
        trained(images(dtype=torch.float32))
    model.load_state_dict(trained.state_dict())
    assert warnings_of(model.train) == []


def test_evaluation_of_untrained_weights_is_silent():
    assert warnings_of(build_ours('mmseg', norm_eval=True).eval) == []


def test_norm_eval_leaves_group_norms_alone():
    model = build_ours('mmseg', norm_eval=True, norm_cfg=GN)
    assert warnings_of(model.train) == []
    assert not any(isinstance(m, _BatchNorm) for m in model.modules())


# Optimisers of the packages' HRNet recipes; mmpretrain's for batches of this size, as it scales them.
RECIPES = {
    'mmpose': lambda p: torch.optim.Adam(p, lr=5e-4),
    'mmseg': lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=5e-4),
    'mmdet': lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-4),
    'mmpretrain': lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=1e-4),
}


def losses_from_random_weights(scope: str, steps: int = 16, **kwargs) -> list[float]:
    """Label the pixels of random images, as deep as a real HRNet but narrow."""
    extra = dict(
        stage1=stage(1, 'BOTTLENECK', (4,), (16,)),
        stage2=stage(1, 'BASIC', (4, 4), (4, 8)),
        stage3=stage(4, 'BASIC', (4, 4, 4), (4, 8, 16)),
        stage4=stage(3, 'BASIC', (4, 4, 4, 4), TINY_CHANNELS),
    )
    model = build_ours(scope, extra=extra, multiscale_output=True, **kwargs)
    model.init_weights()
    heads = nn.ModuleList(nn.Conv2d(c, 5, 1) for c in model.out_channels)
    for head in heads:
        nn.init.normal_(head.weight, std=0.01)
    optimizer = RECIPES[scope]([*model.parameters(), *heads.parameters()])
    model.train()
    x = images(4, size=(64, 64), dtype=torch.float32)
    found = []
    for _ in range(steps):
        outputs = [head(y) for head, y in zip(heads, model(x), strict=True)]
        labels = [torch.arange(y[:, 0].numel()).view_as(y[:, 0]) % 5 for y in outputs]
        loss = sum(nn.functional.cross_entropy(y, t) for y, t in zip(outputs, labels, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.filterwarnings('ignore:HRNetBackbone in scope mmdet')
def test_training_from_random_weights_does_not_diverge(scope):
    losses = losses_from_random_weights(scope)
    assert all(loss < 3 * losses[0] for loss in losses), losses  # nan is not less, either
    assert losses[-1] < losses[0], losses


@pytest.mark.filterwarnings('ignore:norm_eval=True freezes')
def test_the_warning_is_true_training_on_untrained_statistics_diverges():
    losses = losses_from_random_weights('mmdet', steps=4, norm_eval=True)
    assert not losses[-1] < 1e4, losses


# -- initialisation -------------------------------------------------------------------------------


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), GN], ids=lambda cfg: cfg['type'])
def test_zero_init_residual_starts_blocks_as_their_shortcut(norm_cfg):
    model = build_ours('mmpose', zero_init_residual=True, norm_cfg=norm_cfg)
    model.init_weights()
    blocks = {name: m for name, m in model.named_modules() if isinstance(m, ResidualBlock)}
    assert len(blocks) == 2 + 3 + 2 * 3 + 2 * 4
    for name, block in blocks.items():
        last = f'{block.norm_prefix}{block.depth}'
        for norm in (n for n in dict(block.named_children()) if n.startswith(block.norm_prefix)):
            weight = getattr(block, norm).weight
            assert (weight == (0 if norm == last else 1)).all(), f'{name}.{norm}'


def test_zero_init_residual_equals_mmpose():
    def initial(build):
        torch.manual_seed(3)
        model = build('mmpose', zero_init_residual=True)
        model.init_weights()
        return dict(model.state_dict())

    assert_close(initial(build_ours), initial(build_peer), rel=0)


def test_zero_init_residual_is_off_by_default():
    model = build_ours('mmpose')
    model.init_weights()
    assert all((m.norm(m.depth).weight == 1).all() for m in model.modules() if isinstance(m, ResidualBlock))


def test_zero_init_residual_spares_pretrained_weights(tmp_path):
    weights = scramble(build_ours('mmpose')).state_dict()
    torch.save(weights, tmp_path / 'weights.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    model = build_ours('mmpose', zero_init_residual=True, init_cfg=init_cfg)
    model.init_weights()
    assert_close(dict(model.state_dict()), dict(weights), rel=0)


# -- outputs --------------------------------------------------------------------------------------

CHOICES = [(0,), (1,), (3,), (0, 2), (1, 2, 3), (0, 1, 2, 3)]


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])  # bilinear, nearest
@pytest.mark.parametrize('indices', CHOICES)
def test_out_indices_pick_the_packages_streams(scope, indices):
    peer = scramble(build_peer(scope)).double()
    ours = build_ours(scope, out_indices=indices).double()
    weights = peer.state_dict()
    kept = {k: v for k, v in weights.items() if not is_unused_fusion(k, indices)}
    assert list(ours.state_dict()) == list(kept)
    ours.load_state_dict(kept)
    peer.eval(), ours.eval()
    x = images()
    with torch.no_grad():
        truth = peer(x)
        assert_close(ours(x), [truth[i] for i in indices], rel=1e-12)
    assert ours.out_channels == tuple(TINY_CHANNELS[i] for i in indices)


def is_unused_fusion(key: str, indices: tuple[int, ...]) -> bool:
    """Whether a key of ``TINY`` belongs to a row of the last fusion that makes no output."""
    found = re.match(r'stage4\.1\.fuse_layers\.(\d)', key)
    return found is not None and int(found[1]) not in indices


@pytest.mark.parametrize('indices', CHOICES)
def test_no_parameter_stays_without_gradient(indices):
    """Otherwise distributed training stops with an error about unused parameters."""
    model = scramble(build_ours('mmseg', out_indices=indices)).double()
    idle = [name for name, grad in gradients(model, images()).items() if grad is None]
    assert idle == []


@pytest.mark.parametrize('scope', CODEBASES)
def test_no_parameter_stays_without_gradient_in_any_scope(scope):
    model = scramble(build_ours(scope, norm_eval=False)).double()
    idle = [name for name, grad in gradients(model, images()).items() if grad is None]
    assert idle == []


@pytest.mark.parametrize('in_channels', range(1, 7))
def test_any_number_of_image_channels(in_channels):
    peer, ours = build_pair('mmpretrain', in_channels=in_channels)
    peer.eval(), ours.eval()
    x = images(channels=in_channels, size=(32, 32), dtype=torch.float32)
    assert ours.conv1.weight.shape == (64, in_channels, 3, 3)
    with torch.no_grad():
        assert_close(ours(x), peer(x), rel=1e-5)


# -- sizes ----------------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 70), st.integers(1, 70))
MODES = [('nearest', None), ('bilinear', False), ('bilinear', True)]


@pytest.fixture(scope='module')
def by_mode() -> dict[tuple, nn.Module]:
    """One trained-looking model per way to upsample."""

    def build(mode: str, align_corners: bool | None) -> nn.Module:
        return build_ours(upsample_cfg=dict(mode=mode, align_corners=align_corners))

    return {mode: scramble(build(*mode)).double().eval() for mode in MODES}


@pytest.fixture(scope='module')
def mmseg_pair() -> tuple[nn.Module, nn.Module]:
    """mmseg's HRNet and ours, ready for inference."""
    peer, ours = build_pair('mmseg')
    peer.double().eval(), ours.double().eval()
    return peer, ours


@settings(max_examples=40, deadline=None)
@given(size=sizes, mode=st.sampled_from(MODES))
def test_any_size_gives_the_promised_shapes(by_mode, size, mode):
    with torch.no_grad():
        outputs = by_mode[mode](images(1, size=size))
    for i, (y, channels) in enumerate(zip(outputs, TINY_CHANNELS, strict=True)):
        stride = 4 * 2**i
        assert y.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert y.isfinite().all()


@settings(max_examples=40, deadline=None)
@given(size=sizes)
def test_any_size_equals_mmseg_in_its_bilinear_mode(mmseg_pair, size):
    peer, ours = mmseg_pair
    x = images(1, size=size)
    with torch.no_grad():
        assert_close(ours(x), tuple(peer(x)), rel=1e-12)


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.parametrize('size', [(32, 32), (32, 96), (128, 64)])
@pytest.mark.filterwarnings('ignore:HRNetBackbone in scope mmdet')
def test_multiples_of_32_equal_every_package(scope, size):
    peer, ours = build_pair(scope)
    peer.double().eval(), ours.double().eval()
    with torch.no_grad():
        assert_close(tuple(ours(images(size=size))), tuple(peer(images(size=size))), rel=1e-12)


@pytest.mark.parametrize('mode', MODES)
def test_an_image_of_one_pixel(by_mode, mmseg_pair, mode):
    """All streams are single pixels then, so nothing is left to resize: all modes agree with mmseg."""
    peer, ours = mmseg_pair[0], by_mode[mode]
    x = images(1, size=(1, 1))
    with torch.no_grad():
        found = ours(x)
        assert [tuple(y.shape) for y in found] == [(1, c, 1, 1) for c in TINY_CHANNELS]
        assert_close(found, tuple(peer(x)), rel=1e-12)


def test_the_image_is_left_alone(by_mode):
    x = images()
    before = x.clone()
    by_mode['nearest', None](x)
    assert torch.equal(x, before)


# -- bad input ------------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    (dict(frozen_stages=5), r'frozen_stages=5 is out of range; expected an integer from -1 to 4'),
    (dict(frozen_stages=-2), r'frozen_stages=-2 is out of range; expected an integer from -1 to 4'),
    (dict(frozen_stages=1.0), r'frozen_stages=1\.0 is out of range; expected an integer'),
    (dict(frozen_stages=True), r'frozen_stages=True is out of range; expected an integer'),
    (dict(in_channels=0), r'in_channels=0 is out of range; expected an integer from 1 to 65536'),
    (dict(in_channels=-3), r'in_channels=-3 is out of range; expected an integer from 1 to 65536'),
    (dict(in_channels='3'), r"in_channels='3' is out of range; expected an integer from 1 to 65536"),
    (dict(out_indices=()), r'out_indices=\(\) is not an ascending choice from \(0, 1, 2, 3\)'),
    (dict(out_indices=(1, 0)), r'out_indices=\(1, 0\) is not an ascending choice'),
    (dict(out_indices=(0, 0)), r'out_indices=\(0, 0\) is not an ascending choice'),
    (dict(out_indices=(0, 4)), r'out_indices=\(0, 4\) is not an ascending choice from \(0, 1, 2, 3\)'),
    (dict(out_indices=(-1,)), r'out_indices=\(-1,\) is not an ascending choice'),
    (dict(out_indices=2), r'out_indices=2 is not an ascending choice'),
    (dict(out_indices=(0, 'a')), r"out_indices=\(0, 'a'\) is not an ascending choice"),
    (dict(out_indices=([0],)), r'out_indices=\(\[0\],\) is not an ascending choice'),
    (
        dict(out_indices=(0, 1), multiscale_output=False),
        r'out_indices=\(0, 1\) is not an ascending choice from \(0,\) \(multiscale_output=False\)',
    ),
    (dict(upsample_cfg=dict(mode='area')), r"upsample_cfg\.mode='area' is unknown; expected nearest or"),
    (
        dict(upsample_cfg=dict(mode='nearest', align_corners=True)),
        r"align_corners=True does not go with mode='nearest'; expected",
    ),
    (
        dict(pretrained='a.pth', init_cfg=PRETRAINED),
        r"pretrained='a\.pth' and init_cfg=\{.*'unused\.pth'.*\}: give only one",
    ),
]


@pytest.mark.parametrize(('kwargs', 'message'), BAD_ARGUMENTS)
def test_a_bad_argument_is_named_with_value_and_expectation(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HRNetBackbone(extra=tiny(), **kwargs)


@pytest.mark.parametrize('scope', CODEBASES)
def test_the_message_survives_a_registry(scope):
    with in_scope(scope), pytest.raises(ValueError, match='frozen_stages=7 is out of range'):
        models_of(scope).build(dict(type='HRNetBackbone', extra=tiny(), frozen_stages=7))


def test_upsample_in_extra_is_checked_too():
    with pytest.raises(ValueError, match="mode='cubic' is unknown; expected nearest or bilinear"):
        HRNetBackbone(extra=tiny() | dict(upsample=dict(mode='cubic')))


@pytest.mark.parametrize('shape', [(3, 32, 32), (2, 4, 32, 32), (2, 1, 32, 32), (1, 2, 3, 32, 32), (3,)])
def test_an_image_of_wrong_rank_or_channels_is_named(shape):
    expected = rf'image of shape {re.escape(str(shape))} .*expected \(N, 3, H, W\) \(in_channels=3\)'
    with pytest.raises(ValueError, match=expected):
        build_ours()(torch.zeros(shape))


@pytest.mark.parametrize('stages', [(), (1,), (2, 4), (1, 2, 3, 4)])
def test_checkpointing_of_chosen_stages(stages):
    """The same gradients, and those stages' blocks recompute."""
    plain, chosen = build_ours('mmseg').double(), build_ours('mmseg', with_cp=stages).double()
    chosen.load_state_dict(plain.state_dict())
    x = images()
    assert_close(gradients(chosen, x), gradients(plain, x), rel=1e-9)
    found = {
        1 if name.startswith('layer1') else int(name.removeprefix('stage')[0])
        for name, block in chosen.named_modules()
        if getattr(block, 'with_cp', False)
    }
    assert found == set(stages)


@pytest.mark.parametrize('with_cp', [(0,), (5,), 'all', 2, (True,), None])
def test_unknown_stages_to_checkpoint_are_refused(with_cp):
    with pytest.raises(ValueError, match=r'with_cp=.* names no stages; expected True, False or some of'):
        build_ours('mmseg', with_cp=with_cp)


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


@pytest.mark.parametrize('precision', ['float16', 'bf16', None, torch.bfloat16])
def test_unknown_precisions_are_refused(precision):
    with pytest.raises(ValueError, match=r'precision=.* is unknown; expected float32 or bfloat16'):
        build_ours('mmseg', precision=precision)


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
