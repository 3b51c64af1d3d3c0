"""Where MMEngine meets us: files of any layout through ``init_cfg`` and ``load_from``.

What importing this module registers with MMEngine, for every model of the process:

- a loader of local checkpoint files (``load_from``, ``resume``, ``Runner.load_checkpoint``, ``init_cfg``, the
  packages' ``init_model``) in the place of MMEngine's own. It reads ``.safetensors`` too, and all other files
  with ``weights_only=True``; MMEngine's own leaves that to torch in 0.10, and says ``False`` later. A file
  with other classes than those of MMEngine's training checkpoints is refused with a ``CheckpointError``,
  unless you named them in ``torch.serialization.add_safe_globals``. ``torch.load`` itself is not touched: a
  call of it with ``weights_only=False`` does what it says. URLs are left to MMEngine;
- the initializer ``Pretrained`` in our own scope, in which ``HRNetBackbone`` initialises itself; in others
  ``Pretrained`` is MMEngine's;
- the hook ``HRNetWeightsHook``, and the file backend ``hrnet_mm.atomic``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import PretrainedInit, is_model_wrapper, update_init_info
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from ..models.stages import Upsampling
from ..registry import HOOKS, WEIGHT_INITIALIZERS, register_in_scope
from .files import CheckpointError
from .fitting import fit, load_weights
from .names import body_prefixes
from .reading import Checkpoint, allow_training_checkpoints, load_file, plain_errors, unwrap, with_upsampling


# MMEngine tries this after the URL schemes, and before its own, '', which fits everything
@CheckpointLoader.register_scheme(prefixes=r'(?!.*://)', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a local file, executing nothing of it; errors say what is wrong with it.

    Raises:
        CheckpointError: as :func:`hrnet_mm.checkpoints.read_checkpoint`.
    """
    return load_file(filename, map_location)


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedOfAnyLayout(PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)`` for weights of every publisher.

    ``HRNetBackbone.init_weights`` builds its ``init_cfg`` in the scope ``hrnet_mm``, where the registry
    ``hrnet_mm.registry.WEIGHT_INITIALIZERS`` finds this class by that name.

    Args:
        checkpoint: path or URL, in every spelling that MMEngine knows.
        prefix: use only the keys under this prefix; rarely needed, because the backbone is found by itself.
        map_location: where to load to.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into ``module``.

        Raises:
            CheckpointError: the file is unreadable or of another network; the module is as before.
        """
        with plain_errors(self.checkpoint), allow_training_checkpoints():
            content = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location, logger='silent')
        checkpoint = unwrap(content, source=self.checkpoint)
        if self.prefix is not None:
            checkpoint = _under(checkpoint, f'{self.prefix.rstrip(".")}.')
        load_weights(module, checkpoint)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _under(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    state = {key: value for key, value in checkpoint.state.items() if key.startswith(prefix)}
    if not state:
        raise CheckpointError(
            source=checkpoint.source,
            problem=f'has no keys under prefix={prefix!r}',
            expected=f'one of {", ".join(sorted({key.split(".")[0] for key in checkpoint.state}))}',
        )
    return replace(checkpoint, state=state)


@register_in_scope(HOOKS)
class HRNetWeightsHook(Hook):
    """``load_from`` for weights of every publisher, in any model with an HRNet in it.

    Put ``default_hooks=dict(weights=dict(type='hrnet_mm.HRNetWeightsHook'))`` into a config.
    Checkpoints that it sees saved record the fusion upsampling that they were trained with. Resuming is left
    as it is.
    """

    priority = 'VERY_HIGH'  # before hooks that read the state dict, as EMAHook does

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the model's own keys in the place of the publisher's, before they are loaded."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
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
