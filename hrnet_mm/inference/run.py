"""From a path and one or several networks to pictures and JSON, some images at a time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..config.errors import ConfigError
from ..config.files import require_file
from ..config.options import add_fast
from ..data.images import pixel_limit
from ..pictures.painter import LAYOUTS
from ..pictures.predictions import Prediction
from .joint import shared_maps
from .network import Network, chunks
from .outputs import PICTURES, OutputFiles, own_folders, require_output
from .people import PEOPLE, PersonBoxes, boxes_of, class_labels, people_in, read_boxes
from .records import record_file, record_of, summary_of
from .sources import Images, InputImage, Unreadable, Video, find_source

DEFAULT_OUT = 'predictions'
_NAMED = 5  # skipped images that are named in the summary


@dataclass(frozen=True)
class Outcome:
    """What became of the images.

    Attributes:
        done: How many were looked at.
        skipped: Those that could not be read.
        out_dir: Folder of the pictures, if there is one.
        json: File of the predictions, if there is one.
        last: Task -> the prediction for the last image, in words.
    """

    done: int
    skipped: tuple[Unreadable, ...]
    out_dir: Path | None
    json: Path | None
    last: Mapping[str, str]

    def __str__(self) -> str:
        """The prediction for a single image, then how many there were and where the results are."""
        lines = [f'{task}: {words}' for task, words in self.last.items()] if self.done == 1 else []
        totals = ['1 image' if self.done == 1 else f'{self.done} images']
        if self.out_dir:
            totals.append(f'pictures in {self.out_dir / PICTURES}')
        if self.json:
            totals.append(f'results in {self.json}')
        if self.skipped:
            names = [each.name for each in self.skipped[:_NAMED]]
            more = ', ...' if len(self.skipped) > _NAMED else ''
            totals.append(f'{len(self.skipped)} unreadable and skipped ({", ".join(names)}{more})')
        return '\n'.join([*lines, ', '.join(totals)])


def infer(
    source: str | Path,
    networks: Sequence[Network],
    *,
    detector: Network | None = None,
    detector_classes: Sequence[str] = PEOPLE,
    boxes: str | Path | None = None,
    out_dir: str | Path | None = None,
    json: str | Path | None = None,
    batch: int = 1,
    least_score: float = 0.3,
    layout: str = LAYOUTS[0],
    progress: bool = True,
) -> Outcome:
    """Look at images, folders or videos with one network, or with one for each of several tasks.

    Top-down pose looks at the people in ``boxes``, or else in those that ``detector`` or the detection
    network among ``networks`` finds, or else at each image as one person.

    Args:
        source: An image, a folder or a video, see ``find_source``.
        networks: No two of one task.
        detector: A network that finds people for top-down pose, without showing them.
        detector_classes: What counts as people: classes of the detector. An image without a box of them is
            told on stderr.
        boxes: JSON file of people's boxes for top-down pose, see ``read_boxes``.
        out_dir: Folder of pictures and label maps. None for ``predictions``, or, with ``json``, for none.
        json: File of all predictions, or None.
        batch: Images that go through a network at a time; of top-down pose, eight people for each.
        least_score: Boxes and keypoints below are not drawn, and nobody is looked for in such a box of a
            detector. From 0 to 1.
        layout: Where there are several networks: ``'panels'`` or ``'overlay'``.
        progress: Show a progress bar.

    Raises:
        ConfigError: before a model is built, if an argument is wrong or does not go with another.
        CheckpointError: if a checkpoint is unreadable or of another network.
    """
    for key, value, fits, expected in (
        ('--batch', batch, batch >= 1, 'at least 1'),
        ('--score-thr', least_score, 0 <= least_score <= 1, 'a number from 0 to 1'),
        ('--layout', layout, layout in LAYOUTS, f'one of {", ".join(LAYOUTS)}'),
    ):
        if not fits:
            raise ConfigError(key=key, value=value, expected=expected)
    _require_combination(networks, detector=detector, boxes=boxes)
    folder = Path(out_dir or DEFAULT_OUT) if out_dir or not json else None
    every = [*networks, *([detector] if detector else [])]
    with pixel_limit(*(network.cfg for network in every)), ExitStack() as stack:
        images = find_source(
            source, loader=networks[0].loader, leave_out=own_folders(folder) if folder else ()
        )
        boxes_by_name = None if boxes is None else read_boxes(boxes, source=images)
        json_file = None if json is None else require_file(json, key='--json', ending='.json')
        if folder is not None:
            require_output(folder, source=images)
        by_task = {network.task: network for network in networks}
        metadata = {task: network.metadata for task, network in by_task.items()}
        finder = detector or by_task.get('detection')
        if finder is not None and boxes is None and any(network.is_top_down for network in networks):
            class_labels(finder.metadata, detector_classes, key=finder.key)
        described = {
            task: {'config': each.config, 'checkpoint': each.checkpoint, 'names': list(metadata[task].names)}
            for task, each in by_task.items()
        }
        skipped: list[Unreadable] = []
        add_record = stack.enter_context(record_file(json_file, networks=described, skipped=skipped))
        outputs = stack.enter_context(closing(OutputFiles(folder, source=images)))
        done, found = 0, dict[str, Prediction]()
        for part in _readable(images, batch=batch, skipped=skipped, progress=progress):
            with shared_maps(networks):
                predictions = _predict(
                    part,
                    by_task,
                    detector=finder,
                    classes=detector_classes,
                    boxes=boxes_by_name,
                    least_score=least_score,
                    batch=batch,
                )
            for image, found in zip(part, predictions, strict=True):
                files = outputs.write(image, found, metadata, least_score=least_score, layout=layout)
                add_record(record_of(image, found, metadata, **files))
                done += 1
    last = {task: summary_of(each, metadata[task], least_score=least_score) for task, each in found.items()}
    return Outcome(done, tuple(skipped), folder, json_file, last)


def _require_combination(
    networks: Sequence[Network], *, detector: Network | None, boxes: str | Path | None
) -> None:
    """Refuse networks of one task, and a detector or boxes that no network looks at."""
    tasks = [network.task for network in networks]
    if not tasks or len(set(tasks)) < len(tasks):
        raise ConfigError(
            key='networks', value=', '.join(tasks), expected='a network at least, and no two of one task'
        )
    if detector and detector.task != 'detection':
        raise ConfigError(
            key=detector.key, value=detector.config, expected=f'a config for detection, not for {detector}'
        )
    for key, value in (('--detector', detector and detector.config), ('--boxes', boxes and str(boxes))):
        if value and not any(network.is_top_down for network in networks):
            what = ', '.join(map(str, networks))
            raise ConfigError(key=key, value=value, expected=f'a top-down pose network with it, not {what}')
    if detector and boxes:
        raise ConfigError(key='--boxes', value=str(boxes), expected='either --boxes or --detector, not both')


def _readable(
    source: Images | Video, *, batch: int, skipped: list[Unreadable], progress: bool
) -> Iterator[list[InputImage]]:
    """Some images at a time; those that cannot be read are told, and added to ``skipped``."""
    unit = 'image' if isinstance(source, Images) else 'frame'
    with tqdm(total=len(source) or None, unit=unit, disable=not progress) as bar:
        for part in chunks(source, batch):
            for each in part:
                if isinstance(each, Unreadable):
                    skipped.append(each)
                    tqdm.write(f'skipped {each.name}: {each.why}', file=sys.stderr)
            yield [each for each in part if isinstance(each, InputImage)]
            bar.update(len(part))


def _predict(
    images: Sequence[InputImage],
    networks: Mapping[str, Network],
    *,
    detector: Network | None,
    classes: Sequence[str],
    boxes: Mapping[str, PersonBoxes] | None,
    least_score: float,
    batch: int,
) -> list[dict[str, Prediction]]:
    """Task -> prediction, for each image; top-down pose comes last, as it may look at detected people."""
    pixels = [image.path or image.pixels for image in images]
    found: dict[str, list[Any]] = {
        task: network.predict(pixels, batch=batch)
        for task, network in networks.items()
        if not network.is_top_down
    }
    for task in networks.keys() - found.keys():
        people = None
        if boxes is not None:
            people = [boxes_of(image, boxes) for image in images]
        elif detector is not None:
            is_shown = detector is networks.get('detection')
            detected = found['detection'] if is_shown else detector.predict(pixels, batch=batch)
            find = partial(people_in, metadata=detector.metadata, least_score=least_score, classes=classes)
            people = [find(each) for each in detected]
            for image in (image for image, found_in in zip(images, people, strict=True) if not len(found_in)):
                wanted = ' or '.join(classes)
                tqdm.write(f'{image.name}: no box of {wanted} above {least_score:g}', file=sys.stderr)
        found[task] = networks[task].predict(pixels, boxes=people, batch=batch)
    return [{task: found[task][index] for task in networks} for index in range(len(images))]


class NetworkFiles(argparse.Action):
    """One or two words that ``Network`` takes; the source must not stand behind them."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if len(values) > 2:
            raise argparse.ArgumentError(
                self,
                f'expected CONFIG and CHECKPOINT, or one of them or a name; put SOURCE before it: {values}',
            )
        setattr(namespace, self.dest, values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``tools/infer.py`` and ``tools/infer_all.py`` share: the source, and options."""
    parser.add_argument(
        'source',
        metavar='SOURCE',
        help='an image, a video, or a folder: every image in it and its sub-folders, in the order of names',
    )
    parser.add_argument(
        '--boxes',
        metavar='FILE.json',
        help='people for top-down pose, in pixels: {"image name": [[x1, y1, x2, y2], ...]}, images named by '
        'their path in the folder; a video by its name, or one frame as "clip.mp4#12"',
    )
    parser.add_argument(
        '--detector-class',
        dest='detector_classes',
        metavar='NAME',
        nargs='+',
        default=PEOPLE,
        help='what pose looks at: classes of the detector (default: person, or its only class)',
    )
    parser.add_argument(
        '--out-dir',
        metavar='DIR',
        help='folder for pictures/ and labels/ (default: predictions, or with --json none)',
    )
    parser.add_argument('--json', metavar='FILE.json', help='write all predictions there')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU where there is one)')
    parser.add_argument(
        '--batch',
        metavar='N',
        type=int,
        default=1,
        help='images that go through a network at a time, or 8 N people in top-down pose (default: 1)',
    )
    add_fast(parser)
    parser.add_argument(
        '--score-thr',
        dest='least_score',
        metavar='S',
        type=float,
        default=0.3,
        help="draw boxes and keypoints, and look for people in a detector's boxes, from this score on "
        '(default: 0.3); --json holds all',
    )


def infer_by(args: argparse.Namespace, networks: Sequence[Network], **more: Any) -> None:
    """Run ``infer`` as the command line says, and end the process: with 1 if images could not be read."""
    names = ('boxes', 'detector_classes', 'out_dir', 'json', 'batch', 'least_score', 'layout')
    options = {name: getattr(args, name) for name in names if hasattr(args, name)}
    parts = [part for network in networks for part in network.tasks.values() or [network]]
    outcome = infer(args.source, parts, **options, **more)
    print(outcome)
    sys.exit(1 if outcome.skipped else 0)
