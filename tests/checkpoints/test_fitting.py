"""Weights of any layout into models of any layout, and the report of it."""

from __future__ import annotations

import copy

import pytest
import torch
from peers import TINY_CHANNELS, assert_close, build_ours, build_peer, images, scramble
from published_files import BUILDERS, CLASSES, pairs, specimen
from torch import nn
from torch.nn import functional as F

from hrnet_mm import HRNetV2Neck
from hrnet_mm.checkpoints import CheckpointError, load_weights
from hrnet_mm.checkpoints.body import adapt_first_conv
from hrnet_mm.checkpoints.reading import unwrap

HEADS = {
    'classification': {'incre_modules', 'downsamp_modules', 'final_layer', 'classifier'},
    'keypoints': {'final_layer'},
    'segmentation': {'last_layer', 'loss'},
    'ocr': {'aux_head', 'conv3x3_ocr', 'ocr_distri_head', 'cls_head', 'loss'},
}
QUIET = pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')


def of_specimen(publisher: str, task: str):
    return unwrap(specimen(publisher, task).content(), source=f'{publisher} {task}')


def ours_for(scope: str, **kwargs):
    return scramble(build_ours(scope, **kwargs), seed=1).double().eval()


@pytest.mark.parametrize(
    ('task', 'source', 'target'), [pair for pair in pairs() if 'hrnet_mm' in pair and pair[2] != 'official']
)
@QUIET
def test_whole_models_take_every_layout_of_their_task(task, source, target):
    original, copied = specimen(source, task), specimen(target, task, seed=2)
    report = load_weights(copied.module, of_specimen(source, task))
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)
    if (task, source) != ('detection', 'official'):
        assert report.complete, report
        assert {key.split('.')[0] for key in report.ignored} <= {'loss'}
    assert f'loaded: {len(report.loaded)} of {len(report.loaded) + len(report.missing)} tensors' in str(
        report
    )


@pytest.mark.parametrize(('source', 'task'), BUILDERS)
@QUIET
def test_a_backbone_takes_the_body_of_everything(source, task):
    checkpoint = of_specimen(source, task)
    model = ours_for('mmpose')  # produces the finest stream alone
    report = load_weights(model, checkpoint)
    assert report.complete and set(report.loaded) == set(model.state_dict())
    peer = build_peer('mmpose').double()
    peer.eval()
    body = {key.split('backbone.')[-1].removeprefix('model.'): v for key, v in checkpoint.state.items()}
    peer.load_state_dict({key: body[key] for key in peer.state_dict()})
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(x), peer(x), rel=1e-9)
    if source == 'official' and task in HEADS:
        ignored = {key.removeprefix('model.').split('.')[0] for key in report.ignored}
        assert ignored - {'stage4'} == HEADS[task]


# -- the report -----------------------------------------------------------------------------------


@QUIET
def test_a_classification_head_under_a_pose_model_is_no_alarm():
    model = specimen('hrnet_mm', 'keypoints', seed=2).module
    report = load_weights(model, of_specimen('timm', 'classification'))
    assert report.unexpected == () and report.other_shape == ()
    assert report.missing == ('head.final_layer.weight', 'head.final_layer.bias')
    lines = str(report).splitlines()
    assert lines[0] == 'weights from timm classification'
    assert lines[1].startswith('  layout: HRNet-Image-Classification or timm')
    extras = 'stage4, incre_modules, downsamp_modules, final_layer, ...'
    assert lines[3] == f'  known extras ignored: {len(report.ignored)} ({extras})'
    assert lines[4] == '  missing, left as initialised: 2 (head.final_layer.weight, head.final_layer.bias)'


def test_other_classes_are_reported_and_the_rest_is_loaded():
    model = copy.deepcopy(specimen('hrnet_mm', 'keypoints', seed=2).module)
    model.head.final_layer = nn.Conv2d(TINY_CHANNELS[0], 9, 1).double()
    before = model.head.final_layer.weight.clone()
    report = load_weights(model, of_specimen('mmpose', 'keypoints'))
    assert [shape.key for shape in report.other_shape] == ['head.final_layer.weight', 'head.final_layer.bias']
    shapes = f'(file {CLASSES}x4x1x1, model 9x4x1x1)'
    assert f'other shape: 2 (head.final_layer.weight {shapes}, head.final_layer.bias' in str(report)
    assert len(report.loaded) == len(model.state_dict()) - 2
    assert torch.equal(model.head.final_layer.weight, before)


def test_what_has_no_place_and_should_have_one_is_unexpected():
    checkpoint = of_specimen('mmpose', 'keypoints')
    checkpoint.state['head.second_layer.weight'] = torch.ones(1)
    report = load_weights(specimen('hrnet_mm', 'keypoints', seed=2).module, checkpoint)
    assert report.unexpected == ('head.second_layer.weight',) and not report.complete
    assert 'unexpected: 1 (head.second_layer.weight)' in str(report)


def test_models_of_ones_own_keep_their_own_keys():
    """A model that is nobody's layout, and its own checkpoint with another number of classes."""

    def segmenter(classes: int) -> nn.ModuleDict:
        parts = dict(encoder=build_ours('mmseg'), decoder=nn.Conv2d(4, 4, 1), classes=nn.Linear(4, classes))
        return nn.ModuleDict(parts)

    first, second = scramble(segmenter(2)), scramble(segmenter(3), seed=1)
    report = load_weights(second, unwrap(dict(state_dict=first.state_dict()), source='own'))
    assert [shape.key for shape in report.other_shape] == ['classes.weight', 'classes.bias']
    assert report.ignored == report.unexpected == report.missing == ()
    kept = {key: value for key, value in first.state_dict().items() if not key.startswith('classes')}
    assert_close({key: second.state_dict()[key] for key in kept}, kept, rel=0)


@QUIET
def test_fusion_rows_that_the_file_lacks_are_missing():
    report = load_weights(ours_for('mmpretrain'), of_specimen('mmpose', 'keypoints'))
    assert report.missing and all(key.startswith('stage4.1.fuse_layers.') for key in report.missing)
    assert not report.unexpected
    assert report.ignored == ('head.final_layer.weight', 'head.final_layer.bias')


def test_a_bias_goes_where_the_model_has_room_for_it():
    """Our neck without a bias, under the authors' weights with one."""
    model = copy.deepcopy(specimen('hrnet_mm', 'segmentation', seed=2).module)
    model.neck = HRNetV2Neck(TINY_CHANNELS, conv_bias=False).double().eval()
    original = specimen('official', 'segmentation')
    with pytest.warns(UserWarning, match='upsample_cfg'):
        report = load_weights(model, of_specimen('official', 'segmentation'))
    assert report.complete and '1 biases folded into the norms behind them' in report.notes
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(x, None, mode='tensor'), original.run(x), rel=1e-9)


def test_a_bias_before_another_norm_cannot_be_folded():
    checkpoint = of_specimen('hrnet_mm', 'segmentation')
    del checkpoint.state['neck.mix.bn.running_mean']
    with pytest.raises(
        CheckpointError, match=r'bias neck\.mix\.conv\.bias before a norm without .*running_mean'
    ):
        load_weights(specimen('mmseg', 'segmentation', seed=2).module, checkpoint)


# -- other inputs than RGB ------------------------------------------------------------------------


def adapted(in_channels: int):
    model = ours_for('mmpretrain', in_channels=in_channels)
    return model, load_weights(model, of_specimen('timm', 'classification'))


def rgb():
    model = ours_for('mmpretrain')
    load_weights(model, of_specimen('timm', 'classification'))
    return model


def test_grey_images_give_what_they_give_in_rgb():
    model, report = adapted(1)
    x = images(1, channels=1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(x), rgb()(x.expand(-1, 3, -1, -1)), rel=1e-9)
    assert report.notes == ('first convolution adapted from 3 to in_channels=1 (summed)',)
    assert 'note: first convolution adapted from 3 to in_channels=1' in str(report)


def test_six_channels_of_rgb_twice_give_what_rgb_gives():
    model, report = adapted(6)
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(torch.cat([x, x], dim=1)), rgb()(x), rel=1e-9)
    assert report.notes == ('first convolution adapted from 3 to in_channels=6 (repeated and scaled by 3/6)',)


@pytest.mark.parametrize('in_channels', [2, 4, 5, 6, 13])
def test_activations_keep_their_scale(in_channels):
    """For channels that see about the same, as they do in photographs."""
    weight = torch.rand(8, 3, 3, 3, dtype=torch.float64)
    adapted_weight = adapt_first_conv(weight, in_channels)
    assert adapted_weight.shape == (8, in_channels, 3, 3)
    for i in range(in_channels):
        assert_close(adapted_weight[:, i], weight[:, i % 3] * 3 / in_channels, rel=1e-12)
    x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    few = F.conv2d(x.expand(-1, 3, -1, -1), weight)
    many = F.conv2d(x.expand(-1, in_channels, -1, -1), adapted_weight)
    assert 0.7 < many.std() / few.std() < 1.4


def test_other_channels_are_loaded_as_they_are():
    source = ours_for('mmpretrain', in_channels=4)
    model = scramble(build_ours('mmpretrain', in_channels=4), seed=5).double()
    report = load_weights(model, unwrap(source.state_dict(), source='four'))
    assert report.notes == ()
    assert_close(dict(model.state_dict()), dict(source.state_dict()), rel=0)


# -- fusion upsampling ----------------------------------------------------------------------------

NEAREST = dict(mode='nearest')
BILINEAR = dict(mode='bilinear', align_corners=False)
ALIGNED = dict(mode='bilinear', align_corners=True)
TRAINED = {
    ('timm', 'classification'): NEAREST,
    ('official', 'keypoints'): NEAREST,
    ('official', 'segmentation'): ALIGNED,
    ('official', 'ocr'): ALIGNED,
    ('mmpose', 'keypoints'): NEAREST,
    ('mmseg', 'segmentation'): BILINEAR,
    ('mmseg', 'ocr'): BILINEAR,
    ('mmdet', 'detection'): NEAREST,
    ('mmpretrain', 'classification'): NEAREST,
}


@pytest.mark.parametrize(('publisher', 'task'), TRAINED)
@pytest.mark.parametrize('setting', [NEAREST, BILINEAR, ALIGNED])
def test_another_upsampling_is_warned_about(publisher, task, setting, recwarn):
    model = ours_for('mmpretrain', upsample_cfg=setting)
    report = load_weights(model, of_specimen(publisher, task))
    theirs = TRAINED[publisher, task]
    if theirs == setting:
        assert len(recwarn) == 0 and report.notes == ()
        return
    (warning,) = recwarn
    expected = f'trained with upsample_cfg={theirs}, and the model is set to upsample_cfg={setting}'
    assert expected in str(warning.message) and 'set upsample_cfg of the backbone' in str(warning.message)
    assert report.notes == (expected,)


def test_weights_that_do_not_tell_are_not_warned_about(recwarn):
    for setting in (NEAREST, BILINEAR, ALIGNED):
        model = ours_for('mmpretrain', upsample_cfg=setting)
        load_weights(model, of_specimen('hrnet_mm', 'segmentation'))
    assert len(recwarn) == 0


def test_a_converted_file_goes_on_telling(tmp_path):
    from hrnet_mm.checkpoints import convert_checkpoint

    specimen('official', 'segmentation').save(tmp_path / 'in.pth')
    for name in ('out.pth', 'out.safetensors'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / name)
        with pytest.warns(
            UserWarning, match=r"trained with upsample_cfg=\{'mode': 'bilinear', 'align_corners'"
        ):
            load_weights(ours_for('mmseg'), tmp_path / name)
