"""Where MMEngine meets us: files of any layout through ``init_cfg`` and ``load_from``.

Everything is registered, nothing replaced: an initializer that is called ``Pretrained`` in our own scope (in
which ``HRNetBackbone`` initialises itself), a hook for whole models, and a loader for local files.
"""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import PretrainedInit, is_model_wrapper, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from ..models.stages import Upsampling
from ..registry import HOOKS, register_in_scope
from .body import body_prefixes
from .errors import CheckpointError
from .fitting import fit, load_weights
from .reading import Checkpoint, explain, load_file, unwrap
from .upsampling_record import with_upsampling

WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=ROOT_WEIGHT_INITIALIZERS,
    scope='hrnet_mm',
    locations=['hrnet_mm.checkpoints'],
)


# in the order MMEngine tries them, this comes after every URL scheme and before its own loader of local files
@CheckpointLoader.register_scheme(prefixes=r'(?!.*://).*\.(pth|pt|tar|safetensors)$', force=True)
def load_from_checked_file(filename: str, map_location: Any = None) -> Any:
    """Read a local file as MMEngine does, safetensors too; errors say what is wrong with the file."""
    return load_file(filename, map_location)


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class AnyLayoutInit(PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)`` for weights of every publisher.

    Args:
        checkpoint: path or URL, in every spelling that MMEngine knows.
        prefix: use only the keys under this prefix; rarely needed, because the backbone is found by itself.
        map_location: where to load to.
    """

    def __call__(self, module: nn.Module) -> None:
        content = _load(self.checkpoint, self.map_location)
        checkpoint = unwrap(content, source=self.checkpoint)
        load_weights(module, checkpoint if self.prefix is None else _under(checkpoint, self.prefix))
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _load(checkpoint: str, map_location: Any) -> Any:
    if '://' not in checkpoint:
        return load_file(checkpoint, map_location)
    try:
        return CheckpointLoader.load_checkpoint(checkpoint, map_location)
    except (OSError, CheckpointError):  # no network says so itself
        raise
    except Exception as error:
        raise explain(error, source=checkpoint) from error


def _under(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    prefix = f'{prefix.rstrip(".")}.'
    state = {key: value for key, value in checkpoint.state.items() if key.startswith(prefix)}
    if not state:
        raise CheckpointError(
            source=checkpoint.source,
            problem=f'has no keys under prefix={prefix!r}',
            expected=f'one of {", ".join(sorted({key.split(".")[0] for key in checkpoint.state}))}',
        )
    return Checkpoint(checkpoint.source, state, checkpoint.meta, checkpoint.left)


@register_in_scope(HOOKS)
class HRNetWeightsHook(Hook):
    """``load_from`` for weights of every publisher, in any model with an HRNet in it.

    Put ``default_hooks=dict(weights=dict(type='hrnet_mm.HRNetWeightsHook'))`` into a config. Checkpoints that
    it sees saved record the fusion upsampling that they were trained with. Resuming is left as it is.
    """

    priority = 'VERY_HIGH'  # before hooks that read the state dict, as EMAHook does

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the model's own keys in the place of the publisher's, before they are loaded."""
        model = _bare(runner.model)
        if runner._resume or len(body_prefixes(model.state_dict())) != 1:
            return
        content = unwrap(checkpoint, source=str(runner._load_from))
        fitted = fit(model, content)
        fitted.report.log()
        checkpoint.clear()
        # with the model's own values for the rest, so that nobody reports it a second time
        checkpoint.update(meta=content.meta, state_dict={**model.state_dict(), **fitted.state})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Record the fusion upsampling."""
        found = (getattr(module, 'upsampling', None) for module in runner.model.modules())
        upsampling = next((value for value in found if isinstance(value, Upsampling)), None)
        checkpoint['meta'] = with_upsampling(checkpoint.get('meta', {}), upsampling)


def _bare(model: Any) -> nn.Module:
    return model.module if is_model_wrapper(model) else model
