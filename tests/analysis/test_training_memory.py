"""The predicted memory of training: against real steps of the configs' own losses, data and optimizers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile

from hrnet_mm.analysis.training_memory import (
    GIB,
    batch_of,
    is_ours,
    largest_batch,
    predict_training_memory,
    recomputations,
)
from hrnet_mm.config.codebases import task_scopes
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.joint import task_configs
from hrnet_mm.config.load import load_config
from hrnet_mm.demo.dataset import generate

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('drawn')
    generate(folder, train=8, val=2, size=(192, 320), people=(1, 3), seed=0, progress=False)
    return folder


#: One config of each task, with images of (height, width) per step.
TASKS = {
    'pose': ('hrnetv1_w18_small_v1_synthetic_192x144.py', (192, 144), 8),
    'segmentation': ('hrnetv2_w18_small_v1_synthetic.py', (192, 320), 4),
    'detection': ('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py', (192, 320), 4),
    'classification': ('hrnet_w18_small_v1_folder.py', (224, 224), 4),
}
TASKS_AND_CHECKPOINTS = [(task, with_cp) for task in TASKS for with_cp in (False, True)]


@pytest.fixture(scope='module')
def folders(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each task's config finds its data."""
    classes = tmp_path_factory.mktemp('classes')
    pictures = sorted((data / 'coco' / 'train2017').glob('*.jpg'))
    for number, picture in enumerate(pictures):
        folder = classes / 'train' / f'class{number % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / picture.name).symlink_to(picture)
    coco = data / 'coco'
    return dict(pose=coco, detection=coco, segmentation=data / 'cityscapes', classification=classes)


def config_of(task: str, folders: dict[str, Path], *, with_cp: bool) -> Config:
    name, _, batch = TASKS[task]
    cfg = load_config(CONFIGS / name, data_root=folders[task])
    cfg.model.backbone.with_cp = with_cp
    cfg.model.backbone.norm_eval = False
    cfg.model.backbone.init_cfg = None
    cfg.train_dataloader.update(ConfigDict(batch_size=batch, num_workers=0, persistent_workers=False))
    return cfg


def real_peak(cfg: Config, work_dir: Path, *, amp: bool = False) -> int:
    """Bytes of what a training step holds before it starts, and of all that it allocates at once."""
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'
    runner = Runner.from_cfg(cfg)
    if task_scopes(cfg):
        batch = next(runner.build_train_loop(cfg.train_cfg).dataloader_iterator)
    else:
        batch = next(iter(runner.build_dataloader(cfg.train_dataloader)))
    model = runner.model.train()
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)

    def step() -> None:  # mmengine's train_step, whose autocast refuses a CPU
        images = model.data_preprocessor(batch, True)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=amp):
            loss, _ = model.parse_losses(model(**images, mode='loss'))
        wrapper.update_params(loss)

    step()  # the optimizer's state appears
    wrapper.zero_grad(set_to_none=True)
    held = [*model.parameters(), *model.buffers()]
    held += [v for s in wrapper.optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    return sum(t.nbytes for t in held) + most_allocated(step)


def most_allocated(work: Callable[[], None]) -> int:
    """Peak of the bytes that the profiler saw allocated, less those freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == '[memory]']
    current = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        current += event.nbytes()
        peak = max(peak, current)
    return peak


@pytest.mark.nightly
@pytest.mark.parametrize(('task', 'with_cp'), TASKS_AND_CHECKPOINTS)
@pytest.mark.filterwarnings('ignore')  # the packages' own
def test_a_real_step_takes_what_was_predicted(task, with_cp, folders, tmp_path):
    cfg = config_of(task, folders, with_cp=with_cp)
    _, shape, batch = TASKS[task]
    predicted = predict_training_memory(cfg, shape)
    assert predicted.batch == batch
    assert predicted.peak == pytest.approx(real_peak(cfg, tmp_path), rel=0.1)


@pytest.mark.nightly
@pytest.mark.filterwarnings('ignore')
def test_a_real_step_of_several_tasks_takes_what_was_predicted(data, tmp_path):
    """What the backward pass needs of all tasks is alive at once: more than any of them takes alone."""
    cfg = load_config(CONFIGS / 'hrnet_w18_small_v1_joint_synthetic.py', data_root=data)
    cfg.custom_hooks, cfg.train_cfg.shares = None, None
    predicted = predict_training_memory(cfg, (192, 320))
    assert predicted.batch == sum(batch_of(view) for view in task_configs(cfg).values())
    assert predicted.peak == pytest.approx(real_peak(cfg, tmp_path), rel=0.1)


@pytest.mark.nightly
@pytest.mark.filterwarnings('ignore')
def test_a_real_step_in_bfloat16_takes_what_was_predicted(folders, tmp_path):
    """A CPU keeps batch norms' features in bfloat16 as a GPU does."""
    cfg = config_of('segmentation', folders, with_cp=False)
    predicted = predict_training_memory(cfg, TASKS['segmentation'][1], amp=True)
    full = predict_training_memory(cfg, TASKS['segmentation'][1])
    assert predicted.peak < 0.7 * full.peak
    assert predicted.peak == pytest.approx(real_peak(cfg, tmp_path, amp=True), rel=0.1)


# -- without real steps -----------------------------------------------------------------------------

POSE = CONFIGS / 'hrnetv1_w18_small_v1_synthetic_192x144.py'
SHAPE = (64, 48)


def test_weights_gradients_and_states_by_hand():
    """SGD with momentum keeps one number per weight, Adam two and a counter."""
    cfg = load_config(POSE)
    for optimizer, states in (
        (dict(type='SGD', lr=0.1), 0),
        (dict(type='SGD', lr=0.1, momentum=0.9), 1),
        (dict(type='AdamW', lr=0.1), 2),
    ):
        cfg.optim_wrapper = ConfigDict(type='OptimWrapper', optimizer=optimizer)
        memory = predict_training_memory(cfg, SHAPE, batch=2)
        assert memory.optimizer == pytest.approx(states * memory.gradients, rel=1e-3)
        assert memory.weights >= memory.gradients
        assert memory.peak == memory.weights + memory.optimizer + memory.activations


def test_the_batch_is_the_configs():
    cfg = load_config(POSE)
    assert predict_training_memory(cfg, SHAPE).batch == batch_of(cfg) == cfg.train_dataloader.batch_size
    del cfg.train_dataloader['batch_size']
    with pytest.raises(ConfigError, match=r'train_dataloader.batch_size'):
        predict_training_memory(cfg, SHAPE)
    cfg.optim_wrapper = None
    with pytest.raises(ConfigError, match='optim_wrapper'):
        predict_training_memory(cfg, SHAPE, batch=2)


def test_the_largest_batch_fits_and_one_more_does_not():
    cfg, gib = load_config(POSE), 0.1
    largest = largest_batch(cfg, SHAPE, gib=gib)
    assert largest.peak <= gib * GIB
    assert predict_training_memory(cfg, SHAPE, batch=largest.batch + 1).peak > gib * GIB
    assert largest_batch(cfg, SHAPE, gib=0.02) is None


def test_bfloat16_takes_less():
    cfg = load_config(POSE)
    full, half = (predict_training_memory(cfg, SHAPE, batch=64, amp=amp) for amp in (False, True))
    assert half.activations < 0.65 * full.activations
    assert (half.weights, half.gradients, half.optimizer) == (full.weights, full.gradients, full.optimizer)


def test_recomputing_more_saves_more_and_costs_more():
    none, *single, every = recomputations(load_config(POSE), SHAPE, batch=16)
    assert [row.stages for row in (none, *single, every)] == [(), (1,), (2,), (3,), (4,), (1, 2, 3, 4)]
    assert none.extra_work == 0
    assert every.memory.peak < min(row.memory.peak for row in single)
    assert every.extra_work == pytest.approx(sum(row.extra_work for row in single), rel=1e-6)
    assert 0.1 < every.extra_work < 1 / 3  # a pass forward is a third of a step


def test_other_backbones_have_no_stages_to_recompute():
    cfg = load_config('mmpretrain::resnet/resnet18_8xb32_in1k.py')
    assert not is_ours(cfg)
    with pytest.raises(ConfigError, match=r"model.backbone.type = 'ResNet': expected HRNetBackbone"):
        recomputations(cfg, (64, 64), batch=2)
    assert predict_training_memory(cfg, (64, 64), batch=2).peak > 0
