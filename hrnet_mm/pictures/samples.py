"""What a config's pipeline feeds the network, drawn: a look at the data before a night of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from mmengine.config import Config
from mmengine.runner import set_random_seed
from tqdm import tqdm

from ..config.errors import ConfigError, one_line
from ..config.files import require_folder
from ..data.images import pixel_limit
from .pairs import write_image
from .sample_drawing import draw_annotation
from .sample_look import Look
from .sample_sheet import ContactSheet, framed
from .sample_source import Dropped, Sample, SampleSource, spread

SHEET = 'contact_sheet.png'


@dataclass(frozen=True, kw_only=True)
class Browsed:
    """What was drawn.

    Attributes:
        sheet: The contact sheet; None where no sample could be drawn.
        pictures: One picture per sample that could be drawn.
        failures: One line per sample that could not be read.
        dropped: One line per sample for which the pipeline gave nothing.
        available: Samples in the split.
    """

    sheet: Path | None
    pictures: tuple[Path, ...]
    failures: tuple[str, ...]
    dropped: tuple[str, ...]
    available: int

    def summary(self) -> str:
        """One line."""
        tried = len(self.pictures) + len(self.failures) + len(self.dropped)
        parts = [f'{len(self.pictures)} of {tried} samples drawn', f'{self.available} in the split']
        parts += [f'{len(self.dropped)} dropped by the pipeline'] if self.dropped else []
        parts += [f'{len(self.failures)} FAILED'] if self.failures else []
        return ', '.join(parts)


def browse_samples(
    cfg: Config,
    *,
    split: str = 'train',
    count: int = 16,
    out_dir: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
    say: Callable[[str], object] = tqdm.write,
) -> Browsed:
    """Draw samples spread evenly over a split, as they come out of the data preprocessor.

    Pipeline and data preprocessor are those of the config, normalisation is undone, and every sample is
    a batch of its own: nothing is padded to, or mixed with, its neighbours. A sample that can't be read
    is told about, and the others go on.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        split: ``'train'`` or ``'val'``.
        count: How many samples, at most those there are.
        out_dir: Folder for the pictures. Left out: ``samples/<split>`` in the config's ``work_dir``.
        seed: Of what the pipeline leaves to chance, so that the same pictures come again.
        progress: Whether to show a bar.
        say: Takes a line about a sample that can't be drawn, as soon as that is known.

    Raises:
        ConfigError: before anything is drawn, if an argument, the data or the config is off.
    """
    if count < 1:
        raise ConfigError(key='--count', value=count, expected='at least 1')
    source = SampleSource(cfg, split=split)
    folder = require_folder(out_dir or Path(cfg.work_dir) / 'samples' / split, key='--out-dir')
    look = Look.of(source.metainfo, ignore_index=source.ignore_index)
    set_random_seed(seed)
    indices = spread(len(source), count)
    sheet = ContactSheet(len(indices))
    pictures: list[Path] = []
    failures: list[str] = []
    dropped: list[str] = []
    for index in tqdm(indices, desc=f'Drawing {split} samples', unit='sample', disable=not progress):
        try:
            with pixel_limit(cfg):
                sample = source.load(index)
            canvas = draw_annotation(sample.image, sample.annotation, look)
        except Dropped as error:
            dropped.append(f'dropped {_name(source, index)}: {error}')
            say(dropped[-1])
        except Exception as error:  # data sets and transforms raise whatever they like
            failures.append(f'failed {_name(source, index)}: {one_line(error)}')
            say(failures[-1])
        else:
            title = _title(source, index, sample)
            sheet.add(canvas, title=title)
            pictures.append(folder / _file_name(source, index))
            write_image(pictures[-1], framed(canvas, title=title))
    if pictures:
        write_image(folder / SHEET, sheet.draw())
    return Browsed(
        sheet=folder / SHEET if pictures else None,
        pictures=tuple(pictures),
        failures=tuple(failures),
        dropped=tuple(dropped),
        available=len(source),
    )


def _title(source: SampleSource, index: int, sample: Sample) -> str:
    height, width = sample.image.shape[:2]
    names = [PurePath(file).name for file in source.files(index)[:1]]
    return ' '.join([str(index), *names, f'{width}x{height}'])


def _file_name(source: SampleSource, index: int) -> str:
    """The index first: of one image there may be many samples, and two images may share a name."""
    stems = [PurePath(file).stem for file in source.files(index)[:1]]
    return '_'.join([f'{index:06d}', *stems]) + '.png'


def _name(source: SampleSource, index: int) -> str:
    """A sample in words, with the files it is read from."""
    files = source.files(index)
    return f'sample {index}' + (f' ({", ".join(files)})' if files else '')
