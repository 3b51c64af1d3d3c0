"""The codebases that a config can belong to, one record each: all that we know about them hangs here.

What a fifth codebase adds: one ``Codebase`` given to ``add_codebase``, and the functions that it names.
They stand in rooms above this one, so the record holds their dotted names, looked up when first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from mmengine.config import Config

from ..models import SCOPE_DEFAULTS
from ..models.defaults import ScopeDefaults
from .errors import ConfigError, one_line


@dataclass(frozen=True, kw_only=True)
class Codebase:
    """What we know about one codebase.

    Attributes:
        scope: Its MMEngine scope, also the name of its Python package.
        distribution: Its name in the package index.
        extra: The extra of ours that installs it.
        task: ``'pose'``, ``'segmentation'``, ``'detection'`` or ``'classification'``.
        title: The task as a heading.
        backbone: What arguments left out of ``HRNetBackbone`` mean in its scope.
        preprocessor: The data preprocessor that its models take where a config names none.
        loader: Data loader settings that its own tools fill in where a config says nothing.
        functions: Job -> dotted name (``'package.module:function'``) of what does it for this codebase.
            The jobs: ``predictions`` (of a data sample, for pictures and records), ``metadata`` (names,
            colours, skeleton of a data set), ``shape`` (of a config's images), ``swap`` (HRNet under a
            config), ``swap_inputs`` (random batches to prove a swap with). docs/fifth_codebase.md says more.
    """

    scope: str
    distribution: str
    extra: str
    task: str
    title: str
    backbone: ScopeDefaults
    preprocessor: str = 'BaseDataPreprocessor'
    loader: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)

    @property
    def install_hint(self) -> str:
        """The command that installs it."""
        return f"pip install 'hrnet_mm[{self.extra}]'"

    def function(self, job: str) -> Any:
        """What does a job for this codebase.

        Raises:
            ConfigError: if it has nothing for that job.
        """
        if job not in self.functions:
            raise ConfigError(
                key='default_scope', value=self.scope, expected=f'a codebase with a function for {job!r}'
            )
        module, _, name = self.functions[job].partition(':')
        return getattr(import_module(module), name)


CODEBASES: Final[dict[str, Codebase]] = {}


def add_codebase(codebase: Codebase) -> None:
    """Make a codebase known to every tool."""
    CODEBASES[codebase.scope] = codebase
    SCOPE_DEFAULTS[codebase.scope] = codebase.backbone


for _codebase in (
    Codebase(
        scope='mmpose',
        distribution='mmpose',
        extra='pose',
        task='pose',
        title='Pose estimation',
        backbone=SCOPE_DEFAULTS['mmpose'],
        functions={
            'shape': 'hrnet_mm.analysis.shapes:pose_shape',
            'swap': 'hrnet_mm.swap.pose:swap',
            'swap_inputs': 'hrnet_mm.swap.inputs_pose:PoseInputs',
            'predictions': 'hrnet_mm.pictures.predictions:poses_of',
            'metadata': 'hrnet_mm.pictures.metadata:pose_metadata',
        },
    ),
    Codebase(
        scope='mmseg',
        distribution='mmsegmentation',
        extra='seg',
        task='segmentation',
        title='Semantic segmentation',
        backbone=SCOPE_DEFAULTS['mmseg'],
        functions={
            'shape': 'hrnet_mm.analysis.shapes:segmentation_shape',
            'swap': 'hrnet_mm.swap.segmentors:swap',
            'swap_inputs': 'hrnet_mm.swap.inputs:SegmentationInputs',
            'predictions': 'hrnet_mm.pictures.predictions:labels_of',
            'metadata': 'hrnet_mm.pictures.metadata:class_metadata',
        },
    ),
    Codebase(
        scope='mmdet',
        distribution='mmdet',
        extra='det',
        task='detection',
        title='Object detection',
        backbone=SCOPE_DEFAULTS['mmdet'],
        functions={
            'shape': 'hrnet_mm.analysis.shapes:detection_shape',
            'swap': 'hrnet_mm.swap.detectors:swap',
            'swap_inputs': 'hrnet_mm.swap.inputs_detection:DetectionInputs',
            'predictions': 'hrnet_mm.pictures.predictions:boxes_of',
            'metadata': 'hrnet_mm.pictures.metadata:class_metadata',
        },
    ),
    Codebase(
        scope='mmpretrain',
        distribution='mmpretrain',
        extra='cls',
        task='classification',
        title='Image classification',
        backbone=SCOPE_DEFAULTS['mmpretrain'],
        preprocessor='ClsDataPreprocessor',
        loader={'collate_fn': {'type': 'default_collate'}},
        functions={
            'shape': 'hrnet_mm.analysis.shapes:classification_shape',
            'swap': 'hrnet_mm.swap.classifiers:swap',
            'swap_inputs': 'hrnet_mm.swap.inputs:ClassificationInputs',
            'predictions': 'hrnet_mm.pictures.predictions:classes_of',
            'metadata': 'hrnet_mm.pictures.metadata:class_metadata',
        },
    ),
):
    add_codebase(_codebase)


def import_models(scope: str) -> None:
    """Import a codebase's models.

    Raises:
        ConfigError: if transformers 5 stands beside mmpretrain 1.2, which mmseg imports too.
    """
    try:
        import_module(f'{scope}.models')
    except TypeError as error:
        if 'NoneType takes no arguments' not in str(error):
            raise
        raise ConfigError(
            key='default_scope',
            value=scope,
            expected="transformers below 5, without which mmpretrain's models cannot be imported: "
            "pip install 'transformers<5'",
        ) from error


def require_scope(cfg: Config) -> str:
    """The scope of a config, once it is known to be usable.

    Returns:
        One of the names in ``CODEBASES``.

    Raises:
        ConfigError: if ``default_scope`` is missing or unknown, or its package does not import.
    """
    name = cfg.get('default_scope')
    if name not in CODEBASES:
        raise ConfigError(
            key='default_scope',
            value=name,
            expected=f'one of {", ".join(CODEBASES)}; write it in the config or add '
            '--cfg-options default_scope=NAME',
        )
    try:
        import_module(name)
    except (ImportError, AssertionError) as error:  # mm packages assert the versions they accept
        codebase = CODEBASES[name]
        raise ConfigError(
            key='default_scope',
            value=name,
            expected=f'an installed {codebase.distribution} ({one_line(error)}); {codebase.install_hint}',
        ) from error
    return str(name)
