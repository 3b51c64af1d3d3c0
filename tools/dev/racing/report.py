"""What came out of a race: a table as Markdown and JSON, a chart, and example predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarking.report import describe_machine
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hrnet_mm.analysis import GIGA
from hrnet_mm.pictures.canvas import write_image
from hrnet_mm.utils import markdown_table

from .examples import examples_page
from .race import Finish, Standings
from .request import Race

_MIB: Final = 2**20
_COLUMNS: Final[tuple[tuple[str, Callable[[Finish], str]], ...]] = (
    ('network', lambda row: f'**{row.name}**' if row.is_ours else row.name),
    ('{metric}', lambda row: f'{row.score:#.3g}'),
    ('params (M)', lambda row: f'{(row.size.params - row.size.auxiliary_params) / 1e6:.2f}'),
    ('MACs (2^30)', lambda row: f'{row.size.macs / GIGA:,.2f}'),
    ('training (ms/image)', lambda row: f'{1000 * row.result.training:.4g}'),
    ('of it waiting for data', lambda row: f'{row.result.waiting:.0%}'),
    ('inference (ms/image)', lambda row: f'{1000 * row.inference.median:.4g}'),
    ('peak memory (MiB)', lambda row: f'{row.result.memory / _MIB:,.0f}'),
    ('iterations', lambda row: str(row.result.iterations)),
    ('learning rate', lambda row: f'{row.result.rate:.3g}'),
)


def write_report(race: Race, standings: Standings, *, command: str) -> list[Path]:
    """Write ``results.md``, ``results.json``, ``accuracy.png`` and ``examples.png``; returns their paths."""
    files = [race.out / name for name in ('results.md', 'results.json', 'accuracy.png', 'examples.png')]
    page, record, chart, examples = files
    machine = describe_machine(race.device)
    page.write_text(as_markdown(race, standings, machine=machine), encoding='utf-8')
    rows = [asdict(row) for row in standings.finishes]
    content = {'command': command, 'machine': machine, **asdict(standings), 'finishes': rows}
    record.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    draw_accuracy(chart, race, standings)
    entrants = {each.source(race.width).label: race.out / each.name / 'examples' for each in race.entrants}
    write_image(examples, examples_page({row.name: entrants[row.name] for row in standings.finishes}))
    return files


def as_markdown(race: Race, standings: Standings, *, machine: dict[str, Any]) -> str:
    """A heading with the budget, a table, and how its columns were measured."""
    title = race.about.metric[1]
    head = [name.format(metric=title) for name, _ in _COLUMNS]
    rows = [[cell(row) for _, cell in _COLUMNS] for row in standings.finishes]
    where = machine['device'] if race.device == 'cuda' else f'{machine["processor"]}, {machine["cpus"]} cores'
    size = 'x'.join(map(str, standings.shape))
    memory = "the GPU's, tensors alone" if race.device == 'cuda' else "the process's, with Python"
    return f"""\
## {race.task.capitalize()}, {race.budget}, {standings.batch} images a step, from random weights

{race.data.name}, seed {race.seed}, {where}. MACs and inference: one image of {size}, with heads.
Training: the median step, with data and optimizer, over its images. Peak memory in training: {memory}.

{markdown_table(head, rows)}
"""


def draw_accuracy(path: Path, race: Race, standings: Standings) -> None:
    """A PNG: accuracy over the time of inference, a star for each HRNet, a dot for each other network."""
    figure = Figure(figsize=(8, 4), layout='constrained')
    FigureCanvasAgg(figure)
    title = f'{race.task}: {race.budget}, {standings.batch} images a step, on {race.data.name}'
    axis = figure.subplots()
    axis.set_title(title, fontsize=10, loc='left')
    for row in standings.finishes:
        style = dict(marker='*', markersize=14) if row.is_ours else dict(marker='o', markersize=8)
        axis.plot(1000 * row.inference.median, row.score, linestyle='', label=row.name, **style)
    axis.set_xlabel('inference, ms an image', fontsize=9)
    axis.set_ylabel(race.about.metric[1], fontsize=9)
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)
    axis.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside right upper', fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)
