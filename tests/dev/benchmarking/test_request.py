"""What may be asked for, what is filled in, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from benchmarking import request as request_module
from benchmarking.request import make_request
from refusal import refuses

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
        ('backbone', ['timm', 'openvino'], {'timm': ('plain', 'openvino')}),
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


def test_what_is_unknown_or_absent_is_refused(monkeypatch) -> None:
    def ask(**asked: Any) -> Callable[[], object]:
        return lambda: make_request(what='backbone', **asked)

    refuses(ask(forms=['inference_form'], mode='train'), "--forms = 'inference_form': expected one of plain")
    refuses(ask(peers=['resnet50']), "--peers = 'resnet50': expected PEER[:FORM], PEER one of mmpose")
    monkeypatch.setattr(request_module, 'find_spec', lambda name: None)
    refuses(ask(peers=['mmseg']), "expected an installed mmseg; pip install 'hrnet_mm[seg]'")
