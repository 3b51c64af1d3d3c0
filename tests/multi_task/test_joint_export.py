"""One file of a joint model, in ONNX Runtime, against the backbone and each package's own parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from joint_project import write_joint
from peers import assert_close, images, scramble

from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.export import export_model
from hrnet_mm.export.detectors import predict_whole

WHOLE = 'segmentation+detection/images'


@torch.no_grad()
def truth_of(model: Any, crop: torch.Tensor, image: torch.Tensor) -> dict[str, torch.Tensor]:
    pose, segmentation, detection = model.tasks.values()
    maps = model.backbone(image)
    found = predict_whole(detection, image)
    return {
        'pose/heatmaps': pose.head(model.backbone(crop)[:1]),
        'segmentation/logits': segmentation.decode_head(segmentation.neck(maps)),
        **{f'detection/{name}': value for name, value in found.items()},
    }


@pytest.mark.parametrize('dynamic', [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_one_file_for_all_tasks(dynamic: bool, tmp_path: Path) -> None:
    cfg = load_config(write_joint(tmp_path))
    format_of_both = dict(mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=False)
    for task in ('segmentation', 'detection'):
        cfg.model.tasks[task].data_preprocessor.update(format_of_both)
    model: Any = scramble(build_model(cfg))
    for name, value in model.named_parameters():
        if 'rpn_head' in name or 'fc_cls.weight' in name or 'fc_reg.weight' in name:
            value.data *= 0.1  # where sigmoids saturate, the order of boxes is chance
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'joint.pth')
    report = export_model(
        cfg, tmp_path / 'joint.pth', tmp_path / 'joint.onnx', shape=(128, 160), dynamic=dynamic
    )
    assert [each.name for each in report.inputs] == ['pose/images', WHOLE]
    graph = onnx.load(report.out).graph
    assert sum(node.op_type == 'Conv' and WHOLE in node.input for node in graph.node) == 1  # one pass
    session = onnxruntime.InferenceSession(report.out, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_outputs()]
    people, size = (3, (160, 128)) if dynamic else (1, (128, 160))
    crops, image = (
        images(count, size=side, dtype=torch.float32) for count, side in ((people, (64, 64)), (1, size))
    )
    found = session.run(names, {'pose/images': crops.numpy(), WHOLE: image.numpy()})
    truth = truth_of(model, crops, image)
    assert len(truth['detection/boxes']) > 20
    assert_close(dict(zip(names, map(torch.from_numpy, found), strict=True)), truth, rel=1e-4)
