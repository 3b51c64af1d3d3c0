"""What may be asked for, what is filled in, and what is refused in one line."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from benchmarking import request as request_module
from benchmarking.request import make_request

from hrnet_mm.config.errors import ConfigError


def test_defaults_of_a_backbone() -> None:
    found = make_request(what='backbone', threads=2)
    assert (found.arch, found.shape, found.batch, found.threads) == ('w32', (256, 192), 4, 2)
    assert found.forms == ('plain', 'inference_form', 'compiled')
    assert found.matches == ('mmpose', 'mmseg', 'mmdet', 'mmpretrain', 'timm')
    for peer in found.matches:
        assert found.forms_of(peer) == ('plain', 'onnxruntime', 'openvino')
    assert found.marks == found.left_out == ()


def test_defaults_of_classification_have_the_mark_in_its_best_forms() -> None:
    found = make_request(what='cls')
    assert found.matches == ('mmpretrain',)
    assert found.marks == ('resnet50',)
    assert found.forms_of('resnet50') == ('plain', 'channels_last', 'compiled', 'onnxruntime', 'openvino')
    training = make_request(what='cls', mode='train')
    assert training.forms_of('resnet50') == ('plain', 'channels_last', 'compiled')
    assert training.forms_of('mmpretrain') == ('plain',)
    assert training.forms == ('plain', 'channels_last', 'bf16', 'compiled')


def test_a_form_or_an_engine_brings_the_plain_network_along() -> None:
    found = make_request(what='backbone', peers=['mmseg:compiled'])
    assert found.peers == ('mmseg', 'mmseg:compiled')
    found = make_request(what='backbone', peers=['timm', 'openvino'])
    assert found.peers == ('timm', 'timm:openvino')
    found = make_request(what='cls', peers=['resnet50:openvino'])
    assert found.peers == ('mmpretrain', 'resnet50', 'resnet50:openvino')
    assert make_request(what='seg', peers=['onnxruntime']).peers == ('mmseg', 'mmseg:onnxruntime')


def test_in_low_precision_forms_with_one_of_their_own_and_engines_stay_out() -> None:
    found = make_request(what='hrfpn', mode='train', precision='bf16')
    assert found.forms == ('plain', 'channels_last', 'compiled')
    assert make_request(what='hrfpn', precision='bf16').peers == ('mmdet',)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(what='neck'), "--what = 'neck': expected one of backbone, hrfpn"),
        (dict(mode='test'), "--mode = 'test': expected one of infer, train"),
        (dict(device='tpu'), "--device = 'tpu': expected one of cpu, cuda"),
        (dict(arch='w33'), "--arch = 'w33': expected one of w18_small_v1"),
        (dict(precision='int8'), "--precision = 'int8': expected one of fp32"),
        (dict(memory='guess'), "--memory = 'guess': expected one of tensors"),
        (dict(shape=['0', '64']), "--shape = '0 64': expected height and width"),
        (dict(shape=['64']), "--shape = '64': expected height and width"),
        (dict(batch='-1'), "--batch = '-1': expected a whole number from 1 up"),
        (dict(threads='two'), "--threads = 'two': expected a whole number from 1 up"),
        (dict(rounds=0), '--rounds = 0: expected a whole number from 1 up'),
        (dict(forms=['fast']), "--forms = 'fast': expected one of plain"),
        (dict(forms=['inference_form'], mode='train'), "--forms = 'inference_form': expected one of plain"),
        (dict(peers=['caffe']), "--peers = 'caffe': expected one of mmpose"),
        (dict(peers=['resnet50']), "--peers = 'resnet50': expected one of mmpose"),
        (
            dict(peers=['mmpose:best']),
            "--peers = 'mmpose:best': expected after the colon one of",
        ),
        (dict(peers=['mmpose:bf16'], mode='train', precision='bf16'), 'expected --precision fp32 with it'),
        (dict(peers=['openvino'], mode='train'), "--peers = 'mmpose:openvino': expected infer, cpu and fp32"),
        (dict(what='det', peers=['onnxruntime']), 'expected another --what: it cannot be exported'),
    ],
    ids=str,
)
def test_refusals(arguments, message) -> None:
    with pytest.raises(ConfigError) as caught:
        make_request(**{'what': 'backbone', **arguments})
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


def test_no_gpu_is_said_at_once(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ConfigError, match="--device = 'cuda': expected cpu, because torch sees no GPU"):
        make_request(what='backbone', device='cuda')


@pytest.fixture
def uninstalled(monkeypatch):
    """Let packages be absent."""

    def hide(*names: str) -> None:
        monkeypatch.setattr(
            request_module,
            'find_spec',
            lambda name: None if name in names else importlib.util.find_spec(name),
        )

    return hide


@pytest.mark.parametrize(
    ('package', 'peer', 'hint'),
    [
        ('openvino', 'openvino', 'pip install openvino'),
        ('onnxruntime', 'mmdet:onnxruntime', 'pip install onnxruntime'),
        ('onnx', 'openvino', 'pip install onnx'),
        ('timm', 'timm', 'pip install timm'),
        ('mmseg', 'mmseg', r"pip install 'hrnet_mm\[seg\]'"),
    ],
)
def test_what_is_asked_for_and_absent_is_refused(uninstalled, package, peer, hint) -> None:
    uninstalled(package)
    with pytest.raises(ConfigError, match=f'expected an installed {package}; {hint}'):
        make_request(what='backbone', peers=[peer])


def test_what_is_usual_and_absent_is_left_out_and_named(uninstalled) -> None:
    uninstalled('timm', 'openvino')
    found = make_request(what='cls')
    assert found.peers == ('mmpretrain', 'mmpretrain:onnxruntime')
    assert 'resnet50 (no timm installed)' in found.left_out
    assert 'mmpretrain:openvino (no openvino installed)' in found.left_out


def test_without_any_peer_there_is_nothing_to_compare(uninstalled) -> None:
    uninstalled('mmdet')
    with pytest.raises(ConfigError, match=r"an installed mmdet; pip install 'hrnet_mm\[det\]'"):
        make_request(what='hrfpn')
