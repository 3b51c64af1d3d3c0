"""The forms in which a network takes part, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from hrnet_mm.deploy import to_inference_form


def _same(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True)
class Form:
    """What is done to a copy of a network before it is timed.

    Attributes:
        convert: the network in, the network to run out.
        channels_last: whether weights and images are laid out channels last in memory.
        compiled: whether torch.compile gets it (inductor; in inference with frozen weights).
        precision: of its own, by autocast, whatever the others have.
        usual: whether ours takes part in it unless told otherwise.
    """

    convert: Callable[[nn.Module], nn.Module] = _same
    channels_last: bool = False
    compiled: bool = False
    precision: str | None = None
    usual: bool = True


#: mode -> name -> form.
FORMS: Mapping[str, Mapping[str, Form]] = MappingProxyType(
    {
        'infer': MappingProxyType(
            {
                'plain': Form(),
                'inference_form': Form(to_inference_form),
                'compiled': Form(compiled=True),
                'channels_last': Form(channels_last=True, usual=False),
            }
        ),
        'train': MappingProxyType(
            {
                'plain': Form(),
                'channels_last': Form(channels_last=True),
                'bf16': Form(precision='bf16'),
                'compiled': Form(compiled=True),
            }
        ),
    }
)

#: mode -> form of a peer or a mark, as in ``resnet50:compiled`` -> name in ``FORMS``.
PEER_FORMS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        'infer': MappingProxyType({'channels_last': 'channels_last', 'compiled': 'compiled'}),
        'train': MappingProxyType({'channels_last': 'channels_last', 'bf16': 'bf16', 'compiled': 'compiled'}),
    }
)

#: Programs outside torch that run the exported peer.
ENGINES = ('onnxruntime', 'openvino')


def form_of(mode: str, name: str, *, ours: bool) -> Form:
    """The form that a name stands for."""
    return FORMS[mode][name if ours else PEER_FORMS[mode].get(name, name)]
