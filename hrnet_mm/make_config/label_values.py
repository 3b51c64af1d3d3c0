"""What the values in label maps mean: class ids, a binary mask, ids from 1, palettes, colours; names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as pillow
from tqdm import tqdm

from ..config.errors import ConfigError, one_line
from ..pictures.metadata import Colour, distinct_colours
from .folder import Folder, beside

#: Image -> label map, both relative to the folder, or absolute.
Pairs = dict[str, str]

#: More values than this come of lossy files or smoothed edges.
_MOST_VALUES = 256
#: Times a value, a grey as 0xRRGGBB.
_GREY = 0x010101
_VOID = 255
#: Files that name classes, one a line, with an id or a colour or neither.
_NAME_FILES: Final = re.compile(r'^_?(class|label)\w*\.(txt|csv)$', re.IGNORECASE)
_HEADER: Final = re.compile(r'^(#|name\b|class\b|label\b|pixel value)', re.IGNORECASE)


class ClassName(NamedTuple):
    """A line of a file of names."""

    name: str
    value: int
    colour: Colour | None


@dataclass
class Labels:
    """How label maps are to be read.

    Attributes:
        pairs: Image -> label map, of copies where those of the user cannot be read.
        metainfo: ``classes`` and ``palette``.
        dataset: ``reduce_zero_label``, where it is wanted.
        notes: What a user should know, topic and text.
    """

    pairs: Pairs
    metainfo: dict[str, Any]
    dataset: dict[str, Any] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Meaning:
    """What values stand for."""

    classes: tuple[str, ...]
    notes: list[tuple[str, str]]
    colours: Sequence[Colour] = ()
    from_one: bool = False
    table: dict[int, int] | None = None  # value -> id of a class; None where they are equal


def read_labels(folder: Folder, pairs: Pairs, *, out: Path) -> Labels:
    """Look at all label maps; copies with class ids are written where mmseg cannot read them.

    Raises:
        ConfigError: a label map cannot be opened, or holds too many colours to be one.
    """
    names = read_names(folder)
    values: set[int] = set()
    palette: list[Colour] = []
    in_colour = False
    for mask in tqdm(pairs.values(), 'label maps', unit='file'):
        found, own_palette, channels = _open(folder.root / mask)
        values.update(np.unique(found).tolist())
        palette = palette or own_palette
        in_colour |= channels
        if len(values) > _MOST_VALUES:
            expected = f'a label map; more than {_MOST_VALUES} values come of lossy files or smoothed edges'
            raise ConfigError(key='label map', value=str(folder.root / mask), expected=expected)
    grey = all(value % _GREY == 0 for value in values)
    if in_colour and not grey:
        meaning = _meaning_of_colours(values, names)
    else:
        meaning = _meaning_of_ids(
            {value // _GREY for value in values} if in_colour else values, names, palette
        )
    if in_colour and grey:
        table = meaning.table or {value // _GREY: value // _GREY for value in values}
        meaning.table = {value * _GREY: label for value, label in table.items()}
        meaning.notes.append(('label maps', 'have three equal channels, the copies one'))
    if meaning.table is not None:
        pairs = _write_copies(folder, pairs, meaning.table, beside(out, 'masks'))
        meaning.notes.append(('copies', f'in {beside(out, "masks")}; your files are as they were'))
    colours = meaning.colours or distinct_colours(len(meaning.classes))
    return Labels(
        pairs,
        metainfo=dict(classes=meaning.classes, palette=list(colours)),
        dataset={'reduce_zero_label': True} if meaning.from_one else {},
        notes=[('classes', f'{len(meaning.classes)}: {", ".join(meaning.classes)}'), *meaning.notes],
    )


def read_names(folder: Folder) -> list[ClassName]:
    """Classes as a text file beside the data names them; none where there is no such file.

    Read are ``labels.txt`` and ``classes.txt`` (a name a line), CVAT's ``labelmap.txt``
    (``name:r,g,b::``), CamVid's ``label_colors.txt`` and ``class_dict.csv``, Roboflow's ``_classes.csv``.
    """
    files = [file for file in folder.ending('.txt', '.csv') if _NAME_FILES.match(PurePosixPath(file).name)]
    if not files:
        return []
    file = min(files, key=lambda path: path.count('/'))
    lines = (folder.root / file).read_text(encoding='utf-8-sig', errors='replace').splitlines()
    found: list[ClassName] = []
    for line in lines:
        words = [word for word in re.split(r'[\s,:;]+', line) if word]
        numbers = [int(word) for word in words if word.isdecimal()]
        name = ' '.join(word for word in words if not word.isdecimal())
        if not name or name == '__ignore__' or _HEADER.match(line.strip()):
            continue
        value = numbers[0] if len(numbers) == 1 else len(found)
        colour = (numbers[0], numbers[1], numbers[2]) if len(numbers) >= 3 else None
        found.append(ClassName(name, value, colour))
    return found


def _open(path: Path) -> tuple[npt.NDArray[np.int64], list[Colour], bool]:
    """Values of a label map, (H, W), the colours of its palette, and whether values are colours, 0xRRGGBB."""
    try:
        with pillow.open(path) as opened:
            palette = (opened.getpalette() or []) if opened.mode == 'P' else []
            values = np.array(opened).squeeze().astype(np.int64)
    except (OSError, ValueError, SyntaxError) as error:  # what PIL says of files that are no images
        expected = f'a label map that can be read ({one_line(error)})'
        raise ConfigError(key='label map', value=str(path), expected=expected) from error
    colours = [(r, g, b) for r, g, b in zip(palette[::3], palette[1::3], palette[2::3], strict=True)]
    if values.ndim == 2:
        return values, colours, False
    return values[..., :3] @ np.array([1 << 16, 1 << 8, 1]), colours, True


def _meaning_of_ids(ids: set[int], names: Sequence[ClassName], palette: Sequence[Colour]) -> _Meaning:
    named = {entry.value: entry.name for entry in names}
    known = sorted(ids - {_VOID})
    if _VOID in ids and known in ([], [0]):
        both = named.get(0, 'background'), named.get(1, 'foreground')
        said = 'a binary mask of 0 and 255; 255, which mmseg would ignore, is 1 in the copies'
        return _Meaning(both, [('label maps', said)], table={0: 0, _VOID: 1})
    notes = [('void', '255 is not learned')] if _VOID in ids else []
    if not named:
        notes.append(('names', 'none found; classes.txt beside the data, a name a line from id 0, is read'))
    from_one = 0 not in ids and 0 not in named
    last = max([*known, *named])
    if known[-1] > 254 or (len(known) < last + 1 - known[0] and not named):
        table = {value: label for label, value in enumerate(known)} | {_VOID: _VOID}
        notes.append(
            ('label maps', f'ids {", ".join(map(str, known))} are 0 to {len(known) - 1} in the copies')
        )
        return _Meaning(tuple(named.get(v, f'class_{v}') for v in known), notes, table=table)
    values = range(int(from_one), last + 1)
    classes = tuple(named.get(value, f'class_{value}') for value in values)
    if classes == ('class_0', 'class_1'):
        classes = 'background', 'foreground'
    if from_one:
        notes.append(('label maps', 'ids begin at 1: reduce_zero_label=True makes 1 the first class'))
    colours = [entry.colour for entry in names if entry.colour] or [*palette[values.start : values.stop]]
    distinct = len(set(colours)) == len(classes)
    return _Meaning(classes, notes, colours=colours if distinct else (), from_one=from_one)


def _meaning_of_colours(values: set[int], names: Sequence[ClassName]) -> _Meaning:
    named = {_packed(entry.colour): entry.name for entry in names if entry.colour}
    known = [value for value in named if value in values] if named else sorted(values)
    colours = [(value >> 16, value >> 8 & 255, value & 255) for value in known]
    classes = tuple(named.get(v, 'background' if not v else f'colour_{v:06x}') for v in known)
    notes = [('label maps', 'colours are class ids in the copies')]
    absent = [name for value, name in named.items() if value not in values]
    if absent:
        notes.append(('left out', f'{", ".join(absent)}: not a pixel of them'))
    unnamed = sorted(values - set(known))
    if unnamed:
        notes.append(
            ('void', f'colours without a name are not learned: {", ".join(f"{v:06x}" for v in unnamed)}')
        )
    table = {value: label for label, value in enumerate(known)} | dict.fromkeys(unnamed, _VOID)
    return _Meaning(classes, notes, colours=colours, table=table)


def _packed(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _write_copies(folder: Folder, pairs: Pairs, table: dict[int, int], target: Path) -> Pairs:
    """Label maps with the ids of classes, 8-bit PNG, in the same folders below ``target``."""
    keys = np.array(sorted(table))
    labels = np.array([table[key] for key in sorted(table)], np.uint8)
    copies = {}
    for image, mask in tqdm(pairs.items(), 'copies', unit='file'):
        path = (target / mask).with_suffix('.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        values, _, _ = _open(folder.root / mask)
        pillow.fromarray(labels[np.searchsorted(keys, values)]).save(path)
        copies[image] = str(path)
    return copies
