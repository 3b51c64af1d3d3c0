"""The codebases that a config can belong to, one record each: all that we know about them hangs here.

What a fifth codebase adds: one ``Codebase`` given to ``add_codebase``, and the functions that it names.
They stand in rooms above this one, so the record holds their dotted names, looked up when first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, NamedTuple

from mmengine.config import Config

from ..models import SCOPE_DEFAULTS
from ..models.defaults import ScopeDefaults
from .errors import ConfigError, one_line


class HeadSize(NamedTuple):
    """A number of a model's head that has to be the data set's number of classes or keypoints.

    Attributes:
        module: Regular expression of the module's dotted name in the model, as a whole.
        attribute: Of that module; of several, joined by ``|``, the first that it has. Of a list, its length.
        more: What the number may have beyond the classes, as the background of two-stage detectors.
    """

    module: str
    attribute: str
    more: tuple[int, ...] = (0,)


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
        counted: What of a data set its heads count, ``'classes'`` or ``'keypoints'``.
        head_sizes: Where its models hold that count.
        perfect_scores: Type of a metric that can be rehearsed -> regular expression of the names of its main
            values, and what they are of predictions equal to the truth; None where that depends on the data.
        functions: Job -> dotted name (``'package.module:function'``) of what does it for this codebase.
            The jobs: ``truth`` (of an index of a data set, as metrics take predictions), ``predictions`` (of
            a data sample, for pictures and records), ``metadata`` (names, colours, skeleton of a data set),
            ``shape`` (of a config's images), ``swap`` (HRNet under a config), ``swap_inputs`` (random batches
            to prove a swap with). docs/fifth_codebase.md says more.
    """

    scope: str
    distribution: str
    extra: str
    task: str
    title: str
    backbone: ScopeDefaults
    preprocessor: str = 'BaseDataPreprocessor'
    loader: Mapping[str, Any] = field(default_factory=dict)
    counted: str = 'classes'
    head_sizes: tuple[HeadSize, ...] = ()
    perfect_scores: Mapping[str, tuple[str, float | None]] = field(default_factory=dict)
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
#: The scope in which a config of several tasks is run: each task has its own.
JOINT_SCOPE: Final = 'mmengine'


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
        counted='keypoints',
        head_sizes=(HeadSize(r'head', 'num_keypoints|num_joints|out_channels'),),
        perfect_scores={
            'CocoMetric': (r'.*\bAP', 1.0),
            'PCKAccuracy': (r'.*\bPCK', 1.0),
            'AUC': (r'.*\bAUC', None),
            'EPE': (r'.*\bEPE', 0.0),
            'NME': (r'.*\bNME', 0.0),
        },
        functions={
            'truth': 'hrnet_mm.data.truth:poses',
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
        head_sizes=(
            HeadSize(r'(decode_head|auxiliary_head)(\.\d+)?', 'num_classes'),
            HeadSize(r'(decode_head|auxiliary_head)(\.\d+)?\.loss_decode(\.\d+)?', 'class_weight'),
        ),
        perfect_scores={'IoUMetric': (r'.*\b[am]?(Acc|IoU|Dice|Fscore|Precision|Recall)', 100.0)},
        functions={
            'truth': 'hrnet_mm.data.truth:label_map',
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
        # not of RPNs, nor of semantic heads beside the boxes' ones
        head_sizes=(
            HeadSize(r'(.*\.)?(bbox|mask|segm|mask_iou)_head(\.\d+)?', 'num_classes'),
            HeadSize(r'(.*\.)?bbox_head(\.\d+)?\.loss_cls', 'class_weight', more=(0, 1)),
        ),
        perfect_scores={'CocoMetric': (r'.*\b(bbox|segm)_mAP', 1.0)},
        functions={
            'truth': 'hrnet_mm.data.truth:boxes',
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
        head_sizes=(HeadSize(r'head', 'num_classes'), HeadSize(r'head\.loss_module', 'class_weight')),
        preprocessor='ClsDataPreprocessor',
        loader={'collate_fn': {'type': 'default_collate'}},
        perfect_scores={
            'Accuracy': (r'.*\btop\d+', 100.0),
            'SingleLabelMetric': (r'.*', None),
        },
        functions={
            'truth': 'hrnet_mm.data.truth:label',
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
    if scope == JOINT_SCOPE:
        return  # the model imports its tasks'
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


def task_scopes(cfg: Config) -> dict[str, str]:
    """Task -> its scope, of a config of several tasks (``hrnet_mm.MultiTaskModel``); else empty."""
    model = cfg.get('model') or {}
    kind = model.get('type')
    if not getattr(kind, '__name__', str(kind)).endswith('MultiTaskModel'):
        return {}
    return {name: settings.get('_scope_') for name, settings in (model.get('tasks') or {}).items()}


def require_scope(cfg: Config) -> str:
    """The scope of a config, once it is known to be usable.

    Returns:
        One of the names in ``CODEBASES``; of a config of several tasks, ``JOINT_SCOPE``.

    Raises:
        ConfigError: if ``default_scope``, or that of a task, is missing or unknown, or its package does not
            import.
    """
    scopes = task_scopes(cfg)
    for task, scope in scopes.items():
        _require_codebase(scope, key=f'model.tasks.{task}._scope_')
    if scopes:
        return JOINT_SCOPE
    _require_codebase(cfg.get('default_scope'), key='default_scope')
    return str(cfg.default_scope)


def _require_codebase(name: str | None, *, key: str) -> None:
    if name not in CODEBASES:
        hint = '; write it in the config or add --cfg-options default_scope=NAME'
        raise ConfigError(
            key=key,
            value=name,
            expected=f'one of {", ".join(CODEBASES)}{hint if key == "default_scope" else ""}',
        )
    try:
        import_module(name)
    except (ImportError, AssertionError) as error:  # mm packages assert the versions they accept
        codebase = CODEBASES[name]
        raise ConfigError(
            key=key,
            value=name,
            expected=f'an installed {codebase.distribution} ({one_line(error)}); {codebase.install_hint}',
        ) from error
