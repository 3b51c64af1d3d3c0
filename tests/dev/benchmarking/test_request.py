"""What may be asked for, what is filled in, and what is refused in one line."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from benchmarking import request as request_module
from benchmarking.request import make_request
from refusal import refuses

from hrnet_mm.config.errors import ConfigError

ENGINES = ('onnxruntime', 'openvino')


def test_defaults() -> None:
    found = make_request(what='backbone', threads=2)
    assert (found.arch, found.shape, found.batch, found.threads) == ('w32', (256, 192), 4, 2)
    assert found.peers == ['mmpose', 'mmseg', 'mmdet', 'mmpretrain', 'timm']
    assert found.forms['ours'] == ('plain', 'inference_form', 'compiled')
    assert all(found.forms[peer] == ('plain', *ENGINES) for peer in found.peers)
    classifier = make_request(what='cls').forms
    assert classifier['mmpretrain'] == ('plain', *ENGINES)
    assert classifier['resnet50'] == ('plain', 'channels_last', 'compiled', *ENGINES)
    training = make_request(what='cls', mode='train').forms
    assert training['resnet50'] == ('plain', 'channels_last', 'compiled')
    assert training['ours'] == ('plain', 'channels_last', 'bf16', 'compiled')


@pytest.mark.parametrize(
    ('what', 'peers', 'forms'),
    [
        ('backbone', ['mmseg:compiled'], {'mmseg': ('plain', 'compiled')}),
        ('backbone', ['timm', 'openvino'], {'timm': ('plain', 'openvino')}),
        ('seg', ['onnxruntime'], {'mmseg': ('plain', 'onnxruntime')}),
        ('cls', ['resnet50:openvino'], {'mmpretrain': ('plain',), 'resnet50': ('plain', 'openvino')}),
    ],
)
def test_a_form_brings_the_plain_network_along(what, peers, forms) -> None:
    found = dict(make_request(what=what, peers=peers).forms)
    del found['ours']
    assert found == forms


def test_in_low_precision_forms_with_one_of_their_own_and_engines_stay_out() -> None:
    found = make_request(what='hrfpn', mode='train', precision='bf16')
    assert found.forms['ours'] == ('plain', 'channels_last', 'compiled')
    assert make_request(what='hrfpn', precision='bf16').forms['mmdet'] == ('plain',)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(forms=['inference_form'], mode='train'), "--forms = 'inference_form': expected one of plain"),
        (dict(peers=['resnet50']), "--peers = 'resnet50': expected PEER[:FORM], PEER one of mmpose"),
        (dict(peers=['mmpose:inference_form']), 'FORM of plain, channels_last, compiled, onnxruntime'),
        (dict(peers=['mmpose:bf16'], mode='train', precision='bf16'), "'mmpose:bf16': expected PEER[:FORM]"),
        (dict(what='det', peers=['onnxruntime']), "--peers = 'onnxruntime': expected PEER[:FORM]"),
    ],
    ids=str,
)
def test_refusals(arguments, message) -> None:
    refuses(lambda: make_request(**{'what': 'backbone', **arguments}), message)


def test_no_gpu_is_said_at_once(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ConfigError, match="--device = 'cuda': expected cpu, because torch sees no GPU"):
        make_request(what='backbone', device='cuda')


@pytest.mark.parametrize(
    ('package', 'peer', 'hint'),
    [
        ('onnx', 'mmdet:onnxruntime', 'pip install onnx'),
        ('mmseg', 'mmseg', r"pip install 'hrnet_mm\[seg\]'"),
    ],
)
def test_what_is_absent_is_refused(monkeypatch, package, peer, hint) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(request_module, 'find_spec', lambda name: None if name == package else find(name))
    with pytest.raises(ConfigError, match=f'expected an installed {package}; {hint}'):
        make_request(what='backbone', peers=[peer])
