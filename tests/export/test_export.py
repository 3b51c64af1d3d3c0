"""Exported files against the models they were made of, which run here through the packages' own parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from own_configs import read_config
from peers import assert_close, images, in_scope, models_of, scramble
from tool_runs import in_process
from torch import Tensor, nn

import hrnet_mm.export.run as export_run
from hrnet_mm.checkpoints.reading import RECORD
from hrnet_mm.config.build import ImageFormat
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.export import ExportReport, export_model
from hrnet_mm.export.agreement import Case, Disagreement, relative_error, require_agreement
from hrnet_mm.export.outputs import NamedOutputs

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4  # what is promised
PYRAMID = range(5)


class Task(NamedTuple):
    """A small config of one package, and the size that its file is recorded at."""

    config: str
    shape: tuple[int, int]
    pt2_step: int = 32  # the coarsest map's stride

    @property
    def path(self) -> Path:
        return ROOT / 'configs' / f'{self.config}.py'


TASKS = {
    'pose': Task('hrnetv1_w18_small_v1_synthetic_192x144', (96, 64)),
    'segmentation': Task('hrnetv2_w18_small_v1_synthetic', (64, 96)),
    'classification': Task('hrnet_w18_small_v1_cifar10', (64, 64)),
    'detection': Task('hrnetv2p_w18_small_v1_faster_rcnn_synthetic', (128, 160), pt2_step=64),
}


@torch.no_grad()
def truth_of(model: Any, x: Tensor) -> dict[str, Tensor]:
    """The outputs by name, from the package's own parts."""
    if hasattr(model, 'decode_head'):
        return {'logits': model.decode_head(model.neck(model.backbone(x)))}
    if hasattr(model, 'rpn_head'):
        features = model.neck(model.backbone(x))
        scores, deltas = model.rpn_head(features)
        named = {'features': features, 'rpn_scores': scores, 'rpn_deltas': deltas}
        return {f'{name}_{level}': maps[level] for name, maps in named.items() for level in PYRAMID}
    if model.with_neck:  # pools
        return {'scores': model.head(model.extract_feat(x))}
    return {'heatmaps': model.head(model.backbone(x))}


def built(cfg: Config) -> Any:
    models = models_of(cfg.default_scope)
    with in_scope(cfg.default_scope):
        return models.build(cfg.copy().model).eval()


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Task], tuple[nn.Module, Path]]:
    """A task's model and a checkpoint of its weights, as MMEngine saves them."""
    folder = tmp_path_factory.mktemp('checkpoints')
    made: dict[str, tuple[nn.Module, Path]] = {}

    def of(task: Task) -> tuple[nn.Module, Path]:
        if task.config not in made:
            model, path = scramble(built(read_config(task.path))), folder / f'{task.config}.pth'
            torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
            made[task.config] = model, path
        return made[task.config]

    return of


def export(task: Task, checkpoint: Path, out: Path, **options: Any) -> ExportReport:
    options.setdefault('shape', task.shape)
    return export_model(read_config(task.path), checkpoint, out, **options)


def run_onnx(path: Path, x: Tensor) -> dict[str, Tensor]:
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_outputs()]
    found = session.run(names, {'images': x.numpy()})
    return dict(zip(names, map(torch.from_numpy, found), strict=True))


@torch.no_grad()
def run_program(path: Path, x: Tensor) -> dict[str, Tensor]:
    found = torch.export.load(path).module()(x)
    assert isinstance(found, dict)
    return found


RUNTIMES = {'.onnx': run_onnx, '.pt2': run_program}
each_kind = pytest.mark.parametrize(
    ('name', 'ending'),
    [('pose', '.pt2'), ('segmentation', '.onnx'), ('classification', '.onnx'), ('detection', '.pt2')],
)


def other_images(n: int, size: tuple[int, int]) -> Tensor:
    """Not those that the tool compares on."""
    return images(n, size=size, dtype=torch.float32)


# -- what is written ------------------------------------------------------------------------------


@each_kind
def test_the_file_computes_what_the_model_does(name: str, ending: str, trained: Any, tmp_path: Path) -> None:
    task = TASKS[name]
    model, checkpoint = trained(task)
    report = export(task, checkpoint, tmp_path / f'model{ending}')
    assert list(tmp_path.iterdir()) == [report.out]
    x = other_images(1, task.shape)
    truth = truth_of(model, x)
    assert_close(RUNTIMES[ending](report.out, x), truth, rel=TOLERANCE)
    assert report.outputs == {name: tuple(y.shape) for name, y in truth.items()}
    assert len(report.agreements) == 2
    assert all(0 < each.error <= TOLERANCE for each in report.agreements)  # 0 would be the model itself


@pytest.mark.nightly
@each_kind
def test_a_dynamic_file_takes_other_sizes(name: str, ending: str, trained: Any, tmp_path: Path) -> None:
    """Also those that the tool did not try, on numbers of images that it did not try."""
    task = TASKS[name]
    model, checkpoint = trained(task)
    step = task.pt2_step if ending == '.pt2' else 32
    height, width = 6 * step, 5 * step
    report = export(task, checkpoint, tmp_path / f'model{ending}', dynamic=True, shape=(height, width))
    sizes = ((height, width), (height - step, width - step), (height + step, width + 2 * step))
    tried = [(each.cases[0].batch, each.cases[0].shape) for each in report.agreements]
    assert tried == [(batch, size) for size in sizes for batch in (1, 2)]
    for n, size in ((3, (4 * step, 8 * step)), (1, (9 * step, 7 * step))):
        x = other_images(n, size)
        assert_close(RUNTIMES[ending](report.out, x), truth_of(model, x), rel=TOLERANCE)


def test_a_dynamic_file_from_the_smallest_shape(trained: Any, tmp_path: Path) -> None:
    """There is no smaller one to check: two larger ones stand in."""
    task = TASKS['pose']
    model, checkpoint = trained(task)
    report = export(task, checkpoint, tmp_path / 'model.onnx', dynamic=True, shape=(64, 64))
    assert {each.cases[0].shape for each in report.agreements} == {(64, 64), (96, 128), (128, 64)}
    x = other_images(3, (96, 160))
    assert_close(run_onnx(report.out, x), truth_of(model, x), rel=TOLERANCE)


def test_a_fixed_file_takes_any_size_and_no_other(trained: Any, tmp_path: Path) -> None:
    """Sizes at which streams are cropped, too."""
    task = TASKS['pose']
    model, checkpoint = trained(task)
    report = export(task, checkpoint, tmp_path / 'model.onnx', shape=(52, 70))
    x = other_images(1, (52, 70))
    assert_close(run_onnx(report.out, x), truth_of(model, x), rel=TOLERANCE)
    with pytest.raises(Exception, match=r'(?i)dimension'):
        run_onnx(report.out, other_images(1, (64, 64)))


def test_the_onnx_file_says_what_it_is(trained: Any, tmp_path: Path) -> None:
    """It is of the config's own shape, where none is given."""
    task = TASKS['classification']
    report = export(task, trained(task)[1], tmp_path / 'model.onnx', shape=None)
    assert {each.cases[0].shape for each in report.agreements} == {(32, 32)}
    content = onnx.load(report.out)
    onnx.checker.check_model(content, full_check=True)
    assert content.opset_import[0].version >= 17
    assert {node.domain for node in content.graph.node} == {''}  # nothing that a runtime must be taught
    assert 'BatchNormalization' not in {node.op_type for node in content.graph.node}
    assert [node.name for node in content.graph.input] == ['images']
    assert [node.name for node in content.graph.output] == ['scores']


def test_a_programs_second_stage_is_left_out(trained: Any, tmp_path: Path) -> None:
    """``torch.export`` needs outputs of known sizes; the weights of what is left out stay out too."""
    task = TASKS['detection']
    model, checkpoint = trained(task)
    report = export(task, checkpoint, tmp_path / 'model.pt2')
    assert 'left out' in str(report)
    kept = sum(p.numel() for name, p in model.named_parameters() if not name.startswith('roi_head'))
    everything = sum(p.numel() for p in model.parameters())
    assert 3.9 * kept < report.out.stat().st_size < 4 * (kept + everything) / 2  # four bytes each


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('config', 'options', 'names'),
    [
        (
            'hrnetv2p_w18_fcos_coco_1x',
            {'model.neck.in_channels': [16, 32, 64, 128]},
            [f'{name}_{level}' for name in ('scores', 'distances', 'centerness') for level in PYRAMID],
        ),
        ('hrnetv1_w32_ae_coco_512x512', {'model.head.in_channels': 16}, ['heatmaps', 'tags']),
        (
            'hrnetv2_w18_centernet_coco_140e',
            {'model.neck.in_channels': [16, 32, 64, 128], 'model.bbox_head.in_channels': 240},
            ['heatmaps_0', 'sizes_0', 'offsets_0'],
        ),
    ],
)
@torch.no_grad()
def test_names_of_other_heads(config: str, options: dict[str, Any], names: list[str]) -> None:
    cfg = Config(read_config(ROOT / 'configs' / f'{config}.py').to_dict())
    cfg.merge_from_dict({'model.backbone.arch': 'w18_small_v1', 'model.backbone.init_cfg': None, **options})
    model, x = built(cfg), other_images(1, (128, 128))
    found = NamedOutputs(model)(x)
    assert list(found) == names
    raw = model(x, None, mode='tensor')
    flat = [y for part in raw for y in (part if isinstance(part, list) else [part])]
    assert all(torch.equal(y, like) for y, like in zip(found.values(), flat, strict=True))


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize('before', [None, b'an older export'])
def test_a_file_that_disagrees_is_not_left_behind(
    before: bytes | None, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight that changes by a thousandth on its way is enough."""
    task, out = TASKS['pose'], tmp_path / 'model.onnx'
    if before is not None:
        out.write_bytes(before)

    def wrong(model: nn.Module) -> nn.Module:
        fast: Any = form(model)
        fast.head.final_layer.weight.data *= 1.001
        return fast

    form = export_run.to_inference_form
    monkeypatch.setattr(export_run, 'to_inference_form', wrong)
    with pytest.raises(
        Disagreement, match=r'heatmaps within 0\.0001 of the model, relative, not 1\.0e-03, on'
    ):
        export(task, trained(task)[1], out)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_dynamic_file_that_is_wrong_at_another_size_is_not_left_behind(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one size that it was recorded at would not have told."""
    task = TASKS['pose']

    def wrong(model: nn.Module) -> nn.Module:
        fast: Any = form(model)
        right = fast.head.forward
        # int() is a constant once it is recorded
        fast.head.forward = lambda maps: right(maps) * (int(maps[0].shape[3]) / maps[0].shape[3])
        return fast

    form = export_run.to_inference_form
    monkeypatch.setattr(export_run, 'to_inference_form', wrong)
    with pytest.raises(Disagreement, match='on images 1 x 3 x 64 x 64'):
        export(task, trained(task)[1], tmp_path / 'model.onnx', dynamic=True, shape=(96, 96))
    assert not list(tmp_path.iterdir())


SIDES = '--shape = {!r}: expected multiples of 32 from 64 on, for a dynamic file of this network'


@pytest.mark.parametrize(
    ('options', 'out', 'message'),
    [
        ({}, 'model.engine', "OUT = '.*model.engine': expected a file name ending in .onnx or .pt2"),
        ({}, 'model', "OUT = '.*model': expected a file name ending in .onnx or .pt2"),
        ({'dynamic': True, 'shape': (100, 64)}, 'model.onnx', SIDES.format('100 64')),
        ({'dynamic': True, 'shape': (32, 64)}, 'model.onnx', SIDES.format('32 64')),
    ],
)
def test_refusals(options: dict[str, Any], out: str, message: str, trained: Any, tmp_path: Path) -> None:
    task = TASKS['pose']
    with pytest.raises(ConfigError, match=f'^{message}$'):
        export(task, trained(task)[1], tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('ending', 'step'), [('.onnx', 32), ('.pt2', 64)])
def test_a_pyramid_asks_for_more(ending: str, step: int, tmp_path: Path) -> None:
    """Its coarsest level has stride 64, and needs two pixels; this is found before weights are read."""
    message = f'expected multiples of {step} from 128 on, for a dynamic file of this network'
    with pytest.raises(ConfigError, match=message):
        export(TASKS['detection'], Path('gone.pth'), tmp_path / f'm{ending}', dynamic=True, shape=(96, 128))


def test_a_missing_package_is_named_before_anything_is_built(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``torch.export`` needs none."""
    task = TASKS['pose']
    for package in ('onnxruntime', 'onnx'):
        monkeypatch.setitem(sys.modules, package, None)
        message = f'expected an installed {package}, which this needs: pip install onnx onnxruntime'
        with pytest.raises(ConfigError, match=message):
            export(task, Path('gone.pth'), tmp_path / 'model.onnx')
    assert export(task, trained(task)[1], tmp_path / 'model.pt2').out.is_file()


def test_weights_that_are_missing_are_no_export(
    trained: Any, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """And nobody is led to the upsampling that they were trained with."""
    task = TASKS['pose']
    model, _ = trained(task)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith('head')}
    meta = {RECORD: {'upsample_cfg': {'mode': 'bilinear', 'align_corners': False}}}
    torch.save({'state_dict': state, 'meta': meta}, tmp_path / 'headless.pth')
    message = (
        r'all weights of the model in .*; 2 are missing or of another shape, such as head\.final_layer\.'
    )
    with pytest.raises(ConfigError, match=message):
        export(task, tmp_path / 'headless.pth', tmp_path / 'model.onnx')
    assert not (tmp_path / 'model.onnx').exists()
    assert not [each for each in recwarn if 'upsample_cfg' in str(each.message)]


# -- the parts ------------------------------------------------------------------------------------


def test_the_error_is_relative_to_the_largest_value() -> None:
    truth = torch.tensor([[1.0, -4.0]])
    assert relative_error(truth + torch.tensor([[0.0, 0.5]]), truth) == 0.125
    assert relative_error(truth * float('nan'), truth) == float('inf')
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    for outputs in ({}, {'y': torch.ones(1, 2)}, {'x': torch.ones(1, 3)}):
        with pytest.raises(Disagreement, match='outputs'):
            require_agreement(
                lambda *images, outputs=outputs: outputs,
                [Case(1, (32, 32))],
                {'x': torch.ones(1, 2)},
                out=Path('model.onnx'),
            )


@pytest.mark.parametrize('task', TASKS)
def test_images_are_normalised_as_the_package_does(task: str) -> None:
    """The package's own data preprocessor is the truth; it is given BGR, as OpenCV reads images."""
    cfg = read_config(TASKS[task].path)
    preprocessor = dict(cfg.model.get('data_preprocessor') or cfg.data_preprocessor)
    preprocessor.setdefault('type', 'ClsDataPreprocessor')
    with in_scope(cfg.default_scope):
        theirs = models_of(cfg.default_scope).build(preprocessor)
    pixels = np.random.default_rng(0).integers(0, 256, (192, 320, 3), dtype=np.uint8)
    bgr = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    samples = None if cfg.default_scope == 'mmpretrain' else []
    (truth,) = theirs({'inputs': [bgr], 'data_samples': samples}, training=False)['inputs']
    assert_close(ImageFormat.of(cfg).inputs(pixels)[0], truth, rel=1e-6)


# -- the tool -------------------------------------------------------------------------------------


def test_the_tool_prints_every_error(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task, out = TASKS['pose'], tmp_path / 'new' / 'model.onnx'
    arguments = (task.path, trained(task)[1], out, '--shape', '64', '96')
    assert in_process('export.py', *arguments, monkeypatch=monkeypatch) == 0
    *table, last = capsys.readouterr().out.splitlines()
    rows = [(line[:18].strip(), line[18:].strip()) for line in table]
    assert rows[:2] == [('images', '1 x 3 x 64 x 96'), ('other sizes', 'none')]
    assert rows[2][0] == 'normalised'
    assert rows[2][1].startswith('RGB, (pixel - mean) / std with mean (123.675, ')
    assert rows[3] == ('heatmaps', '1 x 17 x 16 x 24')
    assert [name for name, _ in rows[4:]] == ['compared on images', *['1 x 3 x 64 x 96'] * 2]
    assert all(0 < float(value) <= TOLERANCE for _, value in rows[5:])
    assert last.startswith(f'written: {out}, ') and ' MiB, largest relative error ' in last
