"""A model of several tasks against the packages' own single models with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from joint_project import NAMES, write_joint
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from refusal import refuses

from hrnet_mm.config.build import build_model
from hrnet_mm.config.joint import task_config, task_configs
from hrnet_mm.config.load import load_config
from hrnet_mm.pictures.predictions import prediction_of
from hrnet_mm.swap.inputs import random_inputs

SIZE = (64, 96)
SIZES = {'pose': (64, 64), 'segmentation': (64, 96), 'detection': (128, 128)}


@pytest.fixture(scope='module')
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return load_config(write_joint(tmp_path_factory.mktemp('joint')))


@pytest.fixture(scope='module')
def batches(cfg: Config) -> dict[str, Any]:
    found = {}
    for name, view in task_configs(cfg).items():
        inputs = random_inputs(view)
        rng = np.random.default_rng(1)
        with DefaultScope.overwrite_default_scope(view.default_scope):
            found[name] = inputs.batch(SIZES[name], rng=rng, count=2, training=True)
    return found


def built(cfg: Config, **settings: Any) -> Any:
    """The joint model in training mode, always with the same weights."""
    changed = Config({**cfg._cfg_dict.to_dict(), 'model': {**cfg.model.to_dict(), **settings}})
    torch.manual_seed(0)
    model = build_model(changed)
    model.init_weights()
    model.train()
    return model


def single(cfg: Config, name: str, joint: Any) -> Any:
    """The package's model of one task alone, with the joint model's weights, in training mode."""
    model = build_model(task_config(cfg, name))
    own = {key.removeprefix(f'tasks.{name}.'): value for key, value in joint.state_dict().items()}
    missing, _ = model.load_state_dict(own, strict=False)
    assert missing == []
    model.train()
    return model


def losses_of(model: Any, batch: Any) -> Any:
    data = model.data_preprocessor(batch, True)
    return model.parse_losses(model._run_forward(data, mode='loss'))[0]


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp(min=1e-12))


def test_state_dict_holds_the_backbone_once(cfg: Config) -> None:
    names = {key.split('.')[0] for key in built(cfg).state_dict()}
    assert names == {'backbone', 'tasks'}
    assert not any('backbone' in key for key in built(cfg).tasks.state_dict())


@pytest.mark.parametrize('amp', [False, True])
def test_gradients_are_the_weighted_sum_of_the_tasks(cfg: Config, batches: dict[str, Any], amp: bool) -> None:
    """In mixed precision without detection, whose NMS takes float32 alone on a CPU."""
    weights = {'pose': 2.0, 'detection': 0.5}
    batches = {name: batches[name] for name in NAMES if not amp or name != 'detection'}
    joint = built(cfg, loss_weights=weights)
    alone = {name: single(cfg, name, joint) for name in batches}
    with torch.autocast('cpu', torch.float16, enabled=amp):
        torch.manual_seed(7)  # dropout, and proposals drawn at random
        total = losses_of(joint, batches)
        torch.manual_seed(7)
        losses = {
            name: losses_of(model, batches[name]) * weights.get(name, 1.0) for name, model in alone.items()
        }
    total.backward()
    sums: dict[str, torch.Tensor] = {}
    for name, model in alone.items():
        losses[name].backward()
        for key, parameter in model.named_parameters():
            place = key if key.startswith('backbone.') else f'tasks.{name}.{key}'
            if parameter.grad is not None:
                sums[place] = sums.get(place, 0) + parameter.grad
    assert float(total) == pytest.approx(sum(map(float, losses.values())), rel=1e-6)
    found = {key: each.grad for key, each in joint.named_parameters() if each.grad is not None}
    assert found.keys() == sums.keys()
    assert max(relative(found[key], sums[key]) for key in sums) < (1e-2 if amp else 1e-5)


def test_gradients_accumulate_over_steps(cfg: Config, batches: dict[str, Any]) -> None:
    """Also over steps of other tasks: one step of SGD by the mean of both gradients."""
    joint, plain = built(cfg), built(cfg)
    steps = [batches, {'segmentation': batches['segmentation']}]
    for seed, batch in enumerate(steps):
        torch.manual_seed(seed)
        losses_of(plain, batch).backward()
    start = {key: value.detach().clone() for key, value in joint.named_parameters()}
    wrapper = OptimWrapper(torch.optim.SGD(joint.parameters(), lr=0.1), accumulative_counts=2)
    for seed, batch in enumerate(steps):
        assert all(torch.equal(value, start[key]) for key, value in joint.named_parameters())
        torch.manual_seed(seed)
        joint.train_step(batch, wrapper)
    gradients = {key: each.grad for key, each in plain.named_parameters() if each.grad is not None}
    for key, value in joint.named_parameters():
        torch.testing.assert_close(value, start[key] - 0.1 * gradients.get(key, torch.zeros(())) / 2)


def test_predictions_are_the_single_models_bit_for_bit(cfg: Config, batches: dict[str, Any]) -> None:
    joint = built(cfg)
    passes = []
    joint.backbone.register_forward_hook(lambda *_: passes.append(1))
    joint.eval()
    with torch.no_grad():
        together = joint.val_step(batches)
        for name, view in task_configs(cfg).items():
            model = single(cfg, name, joint)
            model.eval()
            scope = str(view.default_scope)
            for sample, other in zip(together[name], model.val_step(batches[name]), strict=True):
                one, two = (vars(prediction_of(each, scope=scope)) for each in (sample, other))
                for key in one:
                    np.testing.assert_array_equal(one[key], two[key])
    assert len(passes) == 3  # the tasks' images differ


def test_norms_see_the_tasks_one_after_another(cfg: Config, batches: dict[str, Any]) -> None:
    joint = built(cfg)
    alone = {name: single(cfg, name, joint) for name in NAMES}
    losses_of(joint, batches)
    assert int(joint.backbone.bn1.num_batches_tracked) == 3
    mean = torch.zeros(64)
    for name, model in alone.items():
        losses_of(model, batches[name])
        # a single model's mean after one batch is 0.1 times that batch's
        mean = 0.9 * mean + model.backbone.bn1.running_mean
    torch.testing.assert_close(joint.backbone.bn1.running_mean, mean)


def test_a_batch_of_some_tasks_trains_those(cfg: Config, batches: dict[str, Any]) -> None:
    joint = built(cfg)
    losses_of(joint, {'pose': batches['pose']}).backward()
    assert all(each.grad is None for each in joint.tasks['segmentation'].parameters())
    assert joint.tasks['pose'].head.final_layer.weight.grad is not None


def test_uncertainty_weights_are_learned(cfg: Config, batches: dict[str, Any]) -> None:
    joint = built(cfg, loss_weights='uncertainty')
    optimizer = torch.optim.SGD(joint.log_variances.parameters(), lr=0.1)
    values = joint.train_step(batches, OptimWrapper(optimizer))
    for name in NAMES:
        assert float(values[f'{name}/weight']) == 1 and f'log_variances.{name}' in joint.state_dict()
        loss = float(values[f'{name}/loss'])
        # s begins at 0; the derivative of exp(-s) L + s / 2 there is 1 / 2 - L
        assert float(joint.log_variances[name]) == pytest.approx(-0.1 * (0.5 - loss), rel=1e-5)
    assert float(values['loss']) == pytest.approx(sum(float(values[f'{n}/loss']) for n in NAMES), rel=1e-6)


@pytest.fixture(scope='module')
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """Two segmentation tasks, whose preprocessors agree."""
    cfg = load_config(write_joint(tmp_path_factory.mktemp('twins'), names=('segmentation',)))
    cfg.model.tasks = {'one': cfg.model.tasks.segmentation, 'two': cfg.model.tasks.segmentation}
    yield cfg


def test_shared_input_runs_the_backbone_once_with_the_same_gradients(twins: Config) -> None:
    batch = random_inputs(task_config(twins, 'one')).batch(
        SIZE, rng=np.random.default_rng(1), count=2, training=True
    )
    gradients, passes = [], []
    for shared in (False, True):
        model = built(twins, shared_input=shared)
        for task in model.tasks.values():
            task.decode_head.dropout.p = 0.0
        passes.append(0)

        def count(*_: Any) -> None:
            passes[-1] += 1

        model.backbone.register_forward_hook(count)
        losses_of(model, {'one': batch, 'two': batch}).backward()
        gradients.append({key: each.grad for key, each in model.named_parameters()})
        assert int(model.backbone.bn1.num_batches_tracked) == (1 if shared else 2)
    assert passes == [2, 1]
    assert max(relative(gradients[1][key], gradients[0][key]) for key in gradients[0]) < 1e-5
    other = random_inputs(task_config(twins, 'two')).batch(
        SIZE, rng=np.random.default_rng(2), count=2, training=True
    )
    refuses(lambda: losses_of(model, {'one': batch, 'two': other}), 'model.shared_input', 'one and two')


@pytest.mark.parametrize(
    ('change', 'parts'),
    [
        (dict(loss_weights={'poes': 2}), ('loss_weights.poes', 'pose, segmentation, detection')),
        (dict(loss_weights={'pose': -1}), ('loss_weights.pose = -1',)),
        (dict(loss_weights='learned'), ("'learned'", "'uncertainty'")),
        (dict(tasks={'mode': {}}), ("'mode'", 'other than mode')),
        (dict(tasks={'pose': {'type': 'X'}}), ('model.tasks.pose._scope_', 'mmpose, mmseg')),
        (dict(tasks={'pose': {'_scope_': 'mmpose', 'backbone': {}}}), ('model.tasks.pose.backbone',)),
        (dict(tasks={'pose': {'_scope_': 'mmpose', 'out_indices': (4,)}}), ('out_indices = (4,)', 'below 4')),
        (dict(backbone=dict(type='mmpose.ResNet', depth=18)), ("'ResNet'", 'HRNetBackbone')),
    ],
)
def test_refusals(cfg: Config, change: dict[str, Any], parts: tuple[str, ...]) -> None:
    from hrnet_mm import MultiTaskModel

    settings = {key: value for key, value in cfg.model.items() if key != 'type'} | change
    refuses(lambda: MultiTaskModel(**settings), *parts)


def test_unknown_task_in_a_batch(cfg: Config) -> None:
    refuses(lambda: built(cfg)(mode='loss', poes={}), "data = 'poes'", 'pose or segmentation or detection')
