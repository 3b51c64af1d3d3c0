"""From a path and one or several networks to pictures and JSON, some images at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..config.files import require_file
from ..data.images import pixel_limit
from ..pictures.metadata import Metadata
from ..pictures.painter import Layer, paint
from ..pictures.predictions import Labels, Prediction
from .output import Output, own_folders, require_output
from .person_boxes import BoxesOfFile
from .plan import NetworkFiles, require_device
from .predictors import chunks
from .records import RecordFile, record_of, summary_of
from .settings import Outcome, Settings
from .sources import Images, Picture, Source, Unreadable, find_source
from .stages import Stage, build_stages, plan_networks

DEFAULT_OUT = 'predictions'

Answers = dict[str, tuple[Prediction, Metadata]]  # by task


def infer(
    source: str | Path,
    networks: Sequence[NetworkFiles],
    *,
    settings: Settings | None = None,
    detector: NetworkFiles | None = None,
    boxes: str | Path | None = None,
) -> Outcome:
    """Look at images, folders or videos with one network, or with one for each of several tasks.

    Top-down pose looks at the people in ``boxes``, or else in those that ``detector`` or the detection
    network among ``networks`` finds, or else at each image as one person.

    Args:
        source: An image, a folder or a video, see ``find_source``.
        networks: Configs and checkpoints, no two of one task.
        settings: How to look, and what to write.
        detector: A network that finds people for top-down pose, without showing them.
        boxes: JSON file of people's boxes for top-down pose, see ``BoxesOfFile``.

    Raises:
        ConfigError: before anything is computed, if an argument is wrong or does not go with another.
    """
    settings = settings or Settings()
    settings.check()
    device = require_device(settings.device)
    wanted_dir = settings.out_dir or (None if settings.json else DEFAULT_OUT)
    pictures = find_source(source, leave_out=own_folders(wanted_dir) if wanted_dir else ())
    plans, detector_plan = plan_networks(networks, detector=detector, boxes=boxes)
    people = None if boxes is None else BoxesOfFile(boxes, source=pictures)
    json_file = None if settings.json is None else require_file(settings.json, key='--json', ending='.json')
    out_dir = None if wanted_dir is None else require_output(wanted_dir, source=pictures)
    stages = build_stages(plans, detector=detector_plan, boxes=people, settings=settings, device=device)
    cfgs = [plan.cfg for plan in plans] + ([detector_plan.cfg] if detector_plan else [])
    with pixel_limit(*cfgs):
        return _run(pictures, stages, settings=settings, out_dir=out_dir, json_file=json_file)


def _run(
    source: Source,
    stages: Sequence[Stage],
    *,
    settings: Settings,
    out_dir: Path | None,
    json_file: Path | None,
) -> Outcome:
    done, skipped, last = 0, list[Unreadable](), dict[str, str]()
    with (
        RecordFile(json_file, networks={stage.task: stage.describe() for stage in stages}) as records,
        Output(out_dir, source=source) as output,
        _bar(source, shown=settings.progress) as bar,
    ):
        for part in chunks(source, settings.batch):
            for unreadable in (each for each in part if isinstance(each, Unreadable)):
                skipped.append(unreadable)
                records.skip(unreadable)
                tqdm.write(f'skipped {unreadable.name}: {unreadable.why}', file=sys.stderr)
            for picture, answers in _ask(stages, [each for each in part if isinstance(each, Picture)]):
                drawn = _draw(output, picture, answers, settings=settings)
                labels = _write_labels(output, picture, answers)
                records.add(record_of(picture, answers, drawn=drawn, labels=labels))
                last = {
                    task: summary_of(*answer, least_score=settings.least_score)
                    for task, answer in answers.items()
                }
                done += 1
            bar.update(len(part))
    return Outcome(done, tuple(skipped), out_dir, json_file, last)


def _ask(stages: Sequence[Stage], pictures: list[Picture]) -> Iterator[tuple[Picture, Answers]]:
    """Each picture with what every network finds in it."""
    by_stage = [stage.predict(pictures) for stage in stages] if pictures else []
    for index, picture in enumerate(pictures):
        yield (
            picture,
            {
                stage.task: (found[index], stage.network.metadata)
                for stage, found in zip(stages, by_stage, strict=True)
            },
        )


def _draw(output: Output, picture: Picture, answers: Answers, *, settings: Settings) -> Path | None:
    if not output.is_wanted:
        return None
    layers = [Layer(task, found, looks) for task, (found, looks) in answers.items()]
    layout = settings.layout if len(layers) > 1 else 'overlay'
    drawn = paint(
        picture.image,
        layers,
        least_score=settings.least_score,
        layout=layout,
        enlarge_small=picture.frame is None,  # a video's frames keep their size
    )
    return output.write_picture(picture, drawn)


def _write_labels(output: Output, picture: Picture, answers: Answers) -> Path | None:
    maps = [found for found, _ in answers.values() if isinstance(found, Labels)]
    return output.write_labels(picture, maps[0]) if maps and output.is_wanted else None


def _bar(source: Source, *, shown: bool) -> Any:
    """Progress with the remaining time, which tqdm reckons itself."""
    unit = 'image' if isinstance(source, Images) else 'frame'
    return tqdm(total=len(source) or None, unit=unit, disable=not shown)
