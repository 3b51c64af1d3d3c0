"""Two-stage detectors whole: files in ONNX Runtime against mmdet's own ``predict``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from own_configs import read_config
from peers import images, scramble
from torch import Tensor

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.demo import draw_scene, generate
from hrnet_mm.export import ExportReport, export_model
from hrnet_mm.export.detectors import same_detections
from hrnet_mm.training.run import run_train

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MODELS = {
    'faster': 'hrnetv2p_w18_faster_rcnn_coco_1x',
    'mask': 'hrnetv2p_w18_mask_rcnn_coco_1x',
    'cascade_mask': 'hrnetv2p_w18_cascade_mask_rcnn_coco_20e',
}
CLASSES = 5
#: Key of a part of a model -> what makes it small, wherever it stands.
SMALL = {
    'neck': {'in_channels': [16, 32, 64, 128], 'out_channels': 16},
    'rpn_head': {'in_channels': 16, 'feat_channels': 16},
    'bbox_roi_extractor': {'out_channels': 16},
    'mask_roi_extractor': {'out_channels': 16},
    'bbox_head': {'in_channels': 16, 'fc_out_channels': 32, 'num_classes': CLASSES},
    'mask_head': {'in_channels': 16, 'conv_out_channels': 8, 'num_classes': CLASSES},
}

Detector = tuple[Config, Any, Path]


def small(config: str) -> Config:
    cfg = Config(read_config(CONFIGS / f'{config}.py').to_dict())
    cfg.model.backbone.update(arch='w18_small_v1', init_cfg=None)
    for key, values in SMALL.items():
        part = cfg.model.get(key) or cfg.model.roi_head.get(key)
        for each in part if isinstance(part, list) else [part] if part else []:
            each.update(values)
    return cfg


def calm(model: Any) -> Any:
    """Scores that differ, boxes near their anchors: where sigmoids saturate, the order of boxes is chance."""
    for name, value in scramble(model).named_parameters():
        if name.startswith('rpn_head') or 'fc_cls.weight' in name or 'fc_reg.weight' in name:
            value.data *= 0.1
    return model.eval()


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Detector]:
    made: dict[str, Detector] = {}

    def make(name: str) -> Detector:
        if name not in made:
            cfg, path = small(MODELS[name]), tmp_path_factory.mktemp(name) / 'weights.pth'
            model = calm(build_model(cfg))
            torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
            made[name] = cfg, model, path
        return made[name]

    return make


@torch.no_grad()
def predict(model: Any, x: Tensor) -> Any:
    """mmdet's own result, as ``tools/test.py`` has it."""
    from mmdet.structures import DetDataSample

    size = tuple(x.shape[2:])
    meta = {'img_shape': size, 'ori_shape': size, 'batch_input_shape': size, 'scale_factor': (1.0, 1.0)}
    (sample,) = model.predict(x, [DetDataSample(metainfo=meta)], rescale=False)
    return sample.pred_instances


def run(path: Path, x: Tensor) -> dict[str, Tensor]:
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(names, {'images': x.numpy()})), strict=True))


def export(detector: Detector, out: Path, **options: Any) -> ExportReport:
    cfg, _, checkpoint = detector
    return export_model(cfg, checkpoint, out, **{'shape': (128, 160), **options})


@pytest.mark.parametrize('name', ['faster', pytest.param('cascade_mask', marks=pytest.mark.nightly)])
def test_boxes_are_mmdets_at_three_sizes(
    name: str, detector: Callable[[str], Detector], tmp_path: Path
) -> None:
    report = export(detector(name), tmp_path / 'model.onnx', dynamic=True)
    assert report.left_out == {}
    assert all(each.detections and each.detections[0] > 20 for each in report.agreements)
    for size in ((128, 192), (192, 128), (256, 224)):
        x = images(1, size=size, dtype=torch.float32)
        found, truth = run(report.out, x), predict(detector(name)[1], x)
        assert len(truth) > 20
        torch.testing.assert_close(found['boxes'], truth.bboxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(found['scores'], truth.scores, rtol=0, atol=1e-4)
        assert torch.equal(found['labels'], truth.labels)


@pytest.mark.nightly
def test_a_trained_detectors_boxes_are_those_that_its_test_finds(own_folder: Path) -> None:
    from mmdet.structures import DetDataSample

    generate('data', train=24, val=1, size=(96, 160), progress=False)
    last = {'train_cfg.max_iters': 90, 'train_cfg.val_begin': 91, 'default_hooks.checkpoint.interval': 90}
    cfg = load_config(
        CONFIGS / 'hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py',
        work_dir='work',
        data_root='data/coco',
        options={**last, 'train_dataloader.num_workers': 0},
    )
    checkpoint = run_train(cfg)
    model: Any = build_model(cfg)
    model.load_state_dict(load_file(checkpoint)['state_dict'])
    report = export_model(cfg, checkpoint, Path('model.onnx'), shape=(128, 160), dynamic=True)
    for size in ((128, 160), (128, 224), (192, 128)):
        image = draw_scene(np.random.default_rng(5), size=size).image
        meta = {'img_shape': size, 'ori_shape': size, 'scale_factor': (1.0, 1.0)}
        pixels = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())  # BGR, as test.py loads it
        batch = {'inputs': [pixels], 'data_samples': [DetDataSample(metainfo=meta)]}
        with torch.no_grad():
            truth = model.eval().test_step(batch)[0].pred_instances
        found = run(report.out, model.data_preprocessor(batch)['inputs'])
        assert truth.scores.max() > 0.5 and len(truth) > 2
        same = same_detections(
            found, {k: truth[k] for k in ('scores', 'labels')} | {'boxes': truth.bboxes}, tolerance=1e-4
        )
        assert same is not None and len(same[0]['boxes']) == len(truth)
        torch.testing.assert_close(same[0]['boxes'], same[1]['boxes'], rtol=0, atol=1e-3)


@torch.no_grad()
def test_masks_are_mmdets_before_they_are_pasted(detector: Callable[[str], Detector], tmp_path: Path) -> None:
    _, model, _ = detector('mask')
    report = export(detector('mask'), tmp_path / 'model.onnx')
    x = images(1, size=(128, 160), dtype=torch.float32)
    found = run(report.out, x)
    rois = torch.nn.functional.pad(found['boxes'], (1, 0))
    logits = model.roi_head._mask_forward(model.extract_feat(x), rois)['mask_preds']
    truth = logits[torch.arange(len(rois)), found['labels']].sigmoid()
    assert truth.std() > 0.01
    torch.testing.assert_close(found['masks'], truth, rtol=0, atol=1e-4)


def test_the_file_is_plain_onnx_and_finds_nothing_where_nothing_is(
    detector: Callable[[str], Detector], tmp_path: Path
) -> None:
    cfg, model, checkpoint = detector('faster')
    sure = Config(cfg.to_dict())
    sure.model.test_cfg.rcnn.score_thr = (
        float(predict(model, images(1, dtype=torch.float32)).scores[0]) + 0.01
    )
    report = export((sure, model, checkpoint), tmp_path / 'model.onnx', shape=(64, 96))
    assert all(each.detections and each.detections[0] > 20 for each in report.agreements)  # of a lower score
    content = onnx.load(report.out)
    onnx.checker.check_model(content, full_check=True)
    assert {node.domain for node in content.graph.node} == {''}
    assert {'RoiAlign', 'NonMaxSuppression'} <= {node.op_type for node in content.graph.node}
    found = run(report.out, images(1, dtype=torch.float32))
    assert [tuple(values.shape) for values in found.values()] == [(0, 4), (0,), (0,)]


@pytest.mark.parametrize(
    ('config', 'nms', 'part'),
    [
        ('hrnetv2p_w18_htc_coco_20e', 'nms', 'HybridTaskCascadeRoIHead'),
        (MODELS['faster'], 'soft_nms', "nms={'type': 'soft_nms', 'iou_threshold': 0.5}"),
    ],
)
def test_what_is_not_known_is_left_out_and_named(config: str, nms: str, part: str, tmp_path: Path) -> None:
    cfg = small(config)
    cfg.model.test_cfg.rcnn.nms.type = nms
    torch.save({'state_dict': calm(build_model(cfg)).state_dict()}, tmp_path / 'weights.pth')
    report = export_model(cfg, tmp_path / 'weights.pth', tmp_path / 'model.onnx', shape=(128, 160))
    assert report.left_out == {'': part}
    assert {name.rpartition('_')[0] for name in report.outputs} == {'features', 'rpn_scores', 'rpn_deltas'}
    assert f'the second stage ({part})' in str(report)


def test_detections_are_the_same_in_another_order() -> None:
    def found(left: list[float], labels: list[int]) -> dict[str, Tensor]:
        edge = torch.tensor(left, dtype=torch.float32)
        boxes = torch.stack([edge, 0 * edge, edge + 10, 0 * edge + 10], dim=1)
        return {'boxes': boxes, 'scores': torch.linspace(1, 0.999, len(left)), 'labels': torch.tensor(labels)}

    truth = found([0.0, 20.0, 40.0], [0, 1, 2])
    swapped = {name: values[[1, 0, 2]] for name, values in truth.items()}
    same = same_detections(swapped, truth, tolerance=1e-4)
    assert same is not None
    assert all(torch.equal(same[0][name], same[1][name]) for name in truth)
    assert same_detections(found([0.0, 20.0, 40.1], [0, 1, 2]), truth, tolerance=1e-4) is None
    assert same_detections(found([0.0, 20.0, 40.0], [0, 1, 1]), truth, tolerance=1e-4) is None
    assert same_detections(found([0.0, 20.0], [0, 1]), truth, tolerance=1e-4) is None
    many = list(range(0, 400, 20))
    extra = same_detections(found([*many, 0.5], [0] * 21), found(many, [0] * 20), tolerance=1e-2)
    assert extra is not None and len(extra[0]['boxes']) == 20
