"""The networks of a run, each with where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError
from .network import Network
from .person_boxes import DetectedPeople, PersonBoxes, Predict, whole_pictures
from .plan import NetworkFiles, Plan, plan_network
from .predictors import PeoplePredictor, Remembering, WholePredictor
from .settings import Settings


@dataclass(frozen=True)
class Stage:
    """One network in a run."""

    network: Network
    predict: Predict

    @property
    def task(self) -> str:
        """What it is asked for."""
        return self.network.plan.task

    def describe(self) -> dict[str, Any]:
        """Which network it is, and the names of its classes or keypoints."""
        files = self.network.plan.files
        names = list(self.network.metadata.names)
        return {'config': files.config, 'checkpoint': files.checkpoint, 'names': names}


def plan_networks(
    networks: Sequence[NetworkFiles], *, detector: NetworkFiles | None, boxes: str | Path | None
) -> tuple[list[Plan], Plan | None]:
    """Read the configs, those to show and the detector's, and make sure that all goes together.

    Raises:
        ConfigError: naming the argument that does not fit.
    """
    plans = [plan_network(files) for files in networks]
    tasks = [plan.task for plan in plans]
    if not plans or len(set(tasks)) < len(tasks):
        raise ConfigError(
            key='networks', value=', '.join(tasks), expected='a network at least, and no two of one task'
        )
    given = {'--detector': detector and detector.config, '--boxes': boxes and str(boxes)}
    for key, value in given.items():
        if value and not any(plan.is_top_down for plan in plans):
            what = ', '.join(plan.kind for plan in plans)
            raise ConfigError(key=key, value=value, expected=f'a top-down pose network with it, not {what}')
    if detector and boxes:
        raise ConfigError(key='--boxes', value=str(boxes), expected='either --boxes or --detector, not both')
    return plans, None if detector is None else plan_network(replace(detector, task='detection'))


def build_stages(
    plans: Sequence[Plan],
    *,
    detector: Plan | None,
    boxes: PersonBoxes | None,
    settings: Settings,
    device: str,
) -> list[Stage]:
    """Build every network and load its weights.

    Args:
        plans: Those whose answers are wanted.
        detector: One that only finds people, for top-down pose.
        boxes: Where top-down pose looks; if None, at the people that the detector, or else the detection
            network among ``plans``, finds, and without any at whole pictures.
        settings: How to look.
        device: As ``require_device`` gives it.

    Raises:
        ConfigError: if a model cannot be built, a checkpoint is another model's, or a detector knows nobody.
    """
    networks = [Network(plan, device=device, fast=settings.fast) for plan in plans]
    whole = {
        network.plan.task: Remembering(WholePredictor(network, batch=settings.batch))
        for network in networks
        if not network.plan.is_top_down
    }
    finders = [network for network in networks if network.plan.task == 'detection']
    if detector is not None:
        finder = Network(detector, device=device, fast=settings.fast)
        boxes = _people_of(finder, WholePredictor(finder, batch=settings.batch), settings)
    elif boxes is None and finders and len(whole) < len(networks):
        boxes = _people_of(finders[0], whole['detection'], settings)
    where = boxes or whole_pictures
    return [
        Stage(
            network,
            whole.get(network.plan.task) or PeoplePredictor(network, boxes=where, batch=settings.batch),
        )
        for network in networks
    ]


def _people_of(network: Network, predict: Predict, settings: Settings) -> DetectedPeople:
    files = network.plan.files
    return DetectedPeople(predict, metadata=network.metadata, key=files.key, least_score=settings.least_score)
