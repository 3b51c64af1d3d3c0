"""HRNet (TPAMI paper, figure 2): a stem to stride 4, then four stages of ever more parallel streams."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..registry import WEIGHT_INITIALIZERS, register_model
from .arch import Arch, checked_int, choose_outputs, count_fusions, recomputed_stages, resolve_arch
from .blocks import Layers, NumberedNorms, ResidualBlock
from .conv_norm import conv_norm, fast_layout, in_layout_of
from .defaults import current_scope, scope_defaults
from .stages import ResidualBlocks, Transition, Upsampling, parallel_stage

_STEM_CHANNELS = 64
_MOST_CHANNELS = 2**16  # of an image; more is a slip, and would take all memory


@register_model(in_root=True)
class HRNetBackbone(NumberedNorms, BaseModule):
    """The high-resolution backbone that every head of OpenMMLab can sit on.

    Arguments left at ``None`` follow the codebase whose scope the model is built in (see
    :mod:`hrnet_mm.models.defaults`), so that ``type='HRNet'`` can be replaced by ``type='HRNetBackbone'``.

    Args:
        arch: one of ``hrnet_mm.NAMED_ARCHS`` or a dict as for ``extra``. Default ``'w32'``.
        extra: the architecture as the OpenMMLab packages spell it, with ``stage1`` to ``stage4``; also
            mmpose's ``upsample`` and ``stage4.multiscale_output`` are read. Used instead of ``arch``.
        in_channels: channels of the image.
        multiscale_output: produce all streams (V2, V2p) or the finest one alone (V1).
        out_indices: which streams to produce instead, 0 (stride 4) to 3 (stride 32), ascending. Fusion
            weights that only other streams need are not built.
        fusions: how many modules of stages 2, 3 and 4, counted from a stage's end, end in a fusion; default
            all of them. ``(1, 1, 1)`` fuses across stages only, ``(0, 0, 1)`` once at the very end: the
            ablation of repeated multi-scale fusion in the CVPR paper (arXiv 1902.09212).
        upsample_cfg: how fusions enlarge a stream: ``dict(mode='nearest')`` or
            ``dict(mode='bilinear', align_corners=False)`` (or ``True``).
        conv_cfg: type of the convolutions, as mmcv's ``build_conv_layer`` takes it.
        norm_cfg: type of the norms (BN, SyncBN, GN, ...), as mmcv's ``build_norm_layer`` takes it.
        norm_eval: keep batch norms in eval mode while training. Where this comes from the scope and not
            from the argument, it applies only with pretrained weights in ``init_cfg``: frozen statistics
            of random weights make training diverge.
        frozen_stages: -1 for none, 0 the stem, ``s`` the stem and stages 1 to ``s`` with the transitions
            that follow them: no gradients, norms in eval mode.
        with_cp: recompute residual blocks in the backward pass to save memory: ``True`` those of all stages,
            or the stages' numbers, as in ``(2, 3)``.
        channels_last: whether a CPU computes float32 in that memory format; outputs keep the image's. Left
            out, it does in inference. In training it is faster too, but torch sums the statistics of batch
            norms less exactly in it.
        precision: ``'float32'``, or ``'bfloat16'`` to autocast the backbone alone and give float32 maps to
            heads that can't do with less. Without effect where an autocast is on already.
        zero_init_residual: start residual blocks as identities; ignored with pretrained weights.
        pretrained: path or URL of a checkpoint; the older spelling of
            ``init_cfg=dict(type='Pretrained', ...)``. The constructor loads nothing: a Runner does, and where
            you build the backbone yourself, :meth:`init_weights`.
        init_cfg: MMEngine initialisation config; applied as ``pretrained`` is.

    Raises:
        ValueError: an argument is out of its range; the message names it, its value and what was expected.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        in_channels: int = 3,
        multiscale_output: bool | None = None,
        out_indices: Sequence[int] | None = None,
        fusions: Sequence[int] | None = None,
        upsample_cfg: Mapping[str, Any] | None = None,
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        norm_eval: bool | None = None,
        frozen_stages: int = -1,
        with_cp: bool | Sequence[int] = False,
        channels_last: bool | None = None,
        precision: str = 'float32',
        zero_init_residual: bool = False,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        defaults = scope_defaults()
        if pretrained is not None:
            if not isinstance(pretrained, str):
                raise ValueError(f'pretrained={pretrained!r}: expected the path or URL of a checkpoint')
            if init_cfg is not None:
                raise ValueError(f'pretrained={pretrained!r} and init_cfg={init_cfg!r}: give only one')
            init_cfg = {'type': 'Pretrained', 'checkpoint': pretrained}
        super().__init__(init_cfg=defaults.init_cfg() if init_cfg is None else init_cfg)

        if extra is not None and arch is not None:
            warnings.warn(f'arch={arch!r} is not used, because extra is given', stacklevel=2)
        spelled = extra if extra is not None else arch if isinstance(arch, Mapping) else {}
        stages = resolve_arch(extra if extra is not None else 'w32' if arch is None else arch)

        if multiscale_output is None:
            # naming streams is asking for them
            fallback = defaults.multiscale_output if out_indices is None else True
            multiscale_output = spelled.get('stage4', {}).get('multiscale_output', fallback)
        if upsample_cfg is None:
            upsample_cfg = spelled.get('upsample')
        self.upsampling = defaults.upsampling if upsample_cfg is None else Upsampling.from_cfg(upsample_cfg)
        self.in_channels = checked_int('in_channels', in_channels, 1, _MOST_CHANNELS)
        self.frozen_stages = checked_int('frozen_stages', frozen_stages, -1, 4)
        self.out_indices = choose_outputs(multiscale_output, out_indices, streams=len(stages[-1].channels))
        self.out_channels = tuple(stages[-1].out_channels[i] for i in self.out_indices)
        self.channels_last = channels_last
        if precision not in ('float32', 'bfloat16'):
            raise ValueError(f'precision={precision!r} is unknown; expected float32 or bfloat16')
        self.precision = precision
        self.zero_init_residual = zero_init_residual
        self.norm_eval = self._default_norm_eval(defaults.norm_eval) if norm_eval is None else norm_eval
        self._build(stages, Layers(conv_cfg, norm_cfg), fusions, recomputed_stages(with_cp))
        self._freeze()
        self._warned_untrained = False

    def _build(
        self, stages: Arch, layers: Layers, fusions: Sequence[int] | None, recomputed: Sequence[int]
    ) -> None:
        self.conv1 = layers.conv3x3(self.in_channels, _STEM_CHANNELS, stride=2)
        self.add_norm(1, layers.norm(_STEM_CHANNELS))
        self.conv2 = layers.conv3x3(_STEM_CHANNELS, _STEM_CHANNELS, stride=2)
        self.add_norm(2, layers.norm(_STEM_CHANNELS))
        self.relu = nn.ReLU(inplace=True)

        one, two, three, four = stages
        common = (layers, self.upsampling)
        fused = count_fusions(fusions, modules=(two.modules, three.modules, four.modules))
        self.layer1 = ResidualBlocks(_STEM_CHANNELS, one, layers, stream=0, with_cp=1 in recomputed)
        self.transition1 = Transition(one.out_channels, two.out_channels, layers)
        self.stage2 = parallel_stage(two, *common, fusions=fused[0], with_cp=2 in recomputed)
        self.transition2 = Transition(two.out_channels, three.out_channels, layers)
        self.stage3 = parallel_stage(three, *common, fusions=fused[1], with_cp=3 in recomputed)
        self.transition3 = Transition(three.out_channels, four.out_channels, layers)
        self.stage4 = parallel_stage(
            four, *common, fusions=fused[2], with_cp=4 in recomputed, outputs=self.out_indices
        )

    def _default_norm_eval(self, wanted: bool) -> bool:
        if wanted and not self._is_pretrained:
            warnings.warn(
                f'HRNetBackbone in scope {current_scope()} would keep norms in eval mode (norm_eval=True), '
                'but init_cfg brings no pretrained weights and training on untrained statistics diverges: '
                'norm_eval=False is used. Set norm_eval=True if the weights come by load_from, '
                'norm_eval=False to silence this.',
                stacklevel=3,
            )
            return False
        return wanted

    @property
    def _is_pretrained(self) -> bool:
        init_cfg: Any = self.init_cfg
        cfgs = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg or []
        return any(cfg.get('type') in ('Pretrained', PretrainedInit) for cfg in cfgs)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; call it yourself where no Runner does.

        ``Pretrained`` weights may be of any publisher: see :data:`hrnet_mm.registry.WEIGHT_INITIALIZERS`.
        """
        with DefaultScope.overwrite_default_scope(WEIGHT_INITIALIZERS.scope if self._is_pretrained else None):
            super().init_weights()
        if self.zero_init_residual and not self._is_pretrained:
            for module in self.modules():
                if isinstance(module, ResidualBlock):
                    module.zero_last_norm()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps.

        Args:
            image: ``(N, in_channels, H, W)``, any size from 1x1.

        Returns:
            One map per entry of ``out_indices``; stream ``i`` is
            ``(N, C_i, ceil(H / 4 / 2**i), ceil(W / 4 / 2**i))``.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ValueError(
                f'image of shape {tuple(image.shape)} given to HRNetBackbone; '
                f'expected (N, {self.in_channels}, H, W) (in_channels={self.in_channels})'
            )
        last = self.channels_last
        if last is None:
            last = not self.training and not torch.is_grad_enabled()
        image_in_layout = fast_layout(image) if last else image
        is_autocast = image.is_meta or torch.is_autocast_enabled(image.device.type)  # no numbers, no autocast
        if self.precision == 'bfloat16' and not is_autocast:
            with torch.autocast(image.device.type, dtype=torch.bfloat16):
                streams = [x.to(image.dtype) for x in self._streams(image_in_layout)]
        else:
            streams = self._streams(image_in_layout)
        return tuple(in_layout_of(image, x) for x in streams)

    def _streams(self, image: Tensor) -> list[Tensor]:
        x = self.relu(conv_norm(image, self.conv1, self.norm(1)))
        x = self.relu(conv_norm(x, self.conv2, self.norm(2)))
        streams = self.transition1([self.layer1(x)])  # the first stage's wide map gets no name that keeps it
        streams = self.transition2(self.stage2(streams))
        streams = self.transition3(self.stage3(streams))
        outputs: list[Tensor] = self.stage4(streams)
        return outputs

    def _freeze(self) -> None:
        parts: list[list[nn.Module]] = [
            [self.conv1, self.norm(1), self.conv2, self.norm(2)],
            [self.layer1, self.transition1],
            [self.stage2, self.transition2],
            [self.stage3, self.transition3],
            [self.stage4],
        ]
        for module in chain(*parts[: self.frozen_stages + 1]):
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> HRNetBackbone:
        """Switch modes, keeping frozen stages frozen and, with ``norm_eval``, batch norms in eval mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
            if not self._warned_untrained and _never_trained(self.norm(1)):
                self._warned_untrained = True
                warnings.warn(
                    'norm_eval=True freezes batch norm statistics that were never trained (mean 0, '
                    'variance 1): training will diverge. Set norm_eval=False, or give '
                    "init_cfg=dict(type='Pretrained', checkpoint=...) or load_from.",
                    stacklevel=2,
                )
        return self


def _never_trained(norm: nn.Module) -> bool:
    mean, var = getattr(norm, 'running_mean', None), getattr(norm, 'running_var', None)
    if mean is None or var is None or mean.is_meta:
        return False
    return bool(torch.all(mean == 0)) and bool(torch.all(var == 1))
