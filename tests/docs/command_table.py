"""What stands between the commands in README and docs and their run in the tests, as two tables.

`test_commands.py` runs every ``python tools/...`` and ``mim train|test`` in the workplace, where configs have
their names and are small. A new command of that kind needs nothing here; any other needs a line in
`ELSEWHERE`.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Substitution(NamedTuple):
    """A change to a command before it is run.

    Attributes:
        pattern: of what is replaced in the command line.
        by: what comes in its place, as `re.sub` takes it.
        why: the reason.
    """

    pattern: str
    by: str
    why: str


class Elsewhere(NamedTuple):
    """Commands that are not run by `test_commands.py`.

    Attributes:
        pattern: of the whole of ``page: command``.
        why: why not.
        test: the test that runs them, or the tool behind them; '' where nothing does.
    """

    pattern: str
    why: str
    test: str = ''


_OWN = 'hrnetv1_w18_small_v1_own_coco'

#: Applied in this order.
SUBSTITUTIONS = (
    Substitution(r'^tools/', 'python tools/', 'texts leave the interpreter out'),
    # what stands for something of the reader's (CHECKPOINT: what the config before it was trained to)
    Substitution(
        r'(swap_backbone\.py) CONFIG', r'\1 mmpretrain::resnet/resnet18_8xb32_in1k.py', 'any other backbone'
    ),
    Substitution(r'\bCONFIG\b', 'configs/hrnetv2_w48_cityscapes.py', 'any config'),
    Substitution(r'\bWORK_DIR\b', 'work_dirs/hrnetv2_w48_cityscapes', 'any work folder'),
    Substitution(
        r'\bIN OUT\b', 'work_dirs/hrnetv2_w48_cityscapes/iter_1.pth converted.pth', 'any checkpoint'
    ),
    # what docs/own_data.md makes, by what the workplace has of that kind
    Substitution(r'\bmy_pose\.py', f'configs/{_OWN}.py', 'another config on own data'),
    Substitution(r'\bwork_dirs/my_pose\b', f'work_dirs/{_OWN}', 'its work folder'),
    Substitution(
        r'\bdata/mine/(?:train|val)\.json data/mine/masks', 'data/own/person_keypoints.json masks', 'its data'
    ),
    # what is made small
    Substitution(
        r'(work_dirs/\w+/(?:epoch|iter))_\d+', r'\1_1', 'small configs train for one epoch or iteration'
    ),
    Substitution(r'(make_synthetic\.py) data$', r'\1 drawn', "the workplace's data/ is drawn already"),
    Substitution(
        r'(make_synthetic\.py \S+)$', r'\1 --train 2 --val 2 --size 128 192 --people 2 3', 'a few scenes'
    ),
    Substitution(r'--count 16\b', '--count 2', 'a few samples'),
    Substitution(r'--shape 512 1024\b', '--shape 64 128', 'small images'),
    Substitution(r' --gib 24\b', '', 'looks for the largest batch for minutes: tests/analysis does'),
    Substitution(r'(export\.py .*256x192\.py .* --dynamic)$', r'\1 --shape 64 64', 'at least 64 pixels'),
    Substitution(
        r'(benchmark\.py .*)$',
        r'\1 --arch w18_small_v1 --shape 64 64 --batch 1 --rounds 1',
        'a small network',
    ),
    Substitution(
        r' resnet50:compiled\b', ' resnet50', 'compiling takes a minute: tests/dev/benchmarking does'
    ),
    # what this machine lacks
    Substitution(r'(train\.py .*) --amp\b', r'\1', 'mixed precision needs a GPU'),
)

ELSEWHERE = (
    Elsewhere(
        r'model_zoo\.md: mim (train|test) mm\w+ configs/\w+\.py( --checkpoint \S+)?',
        '192 commands, written by tools/dev/model_zoo.py: one config of each kind runs',
        'tests/dev/zoo/test_zoo_runs.py::test_one_config_of_each_group_trains_and_evaluates',
    ),
    Elsewhere(
        r'own_data\.md: python tools/(train|test)\.py my_\w+\.py.*',
        'on data of their own',
        'tests/docs/test_own_data.py::test_a_config_trains_and_is_tested',
    ),
    Elsewhere(
        r'\S+: make demo( TORCH_INDEX_URL=\S+)?',
        'eight minutes: its tool runs for three iterations',
        'tests/demo/test_demo.py::test_whole_demo_in_three_iterations',
    ),
    Elsewhere(
        r'\S+: make setup( TORCH_INDEX_URL=\S+)?',
        'has made the environment of the tests',
        'tests/test_packaging.py::test_set_up_that_is_complete_does_nothing',
    ),
    Elsewhere(r'README\.md: make test', 'runs these tests'),
    Elsewhere(r'\S+: source \.venv/bin/activate', "changes the reader's shell"),
    Elsewhere(
        r'README\.md: mim search hrnet_mm',
        'where the wheel is installed',
        'tests/test_packaging.py::test_mim_searches_an_installed_wheel',
    ),
    Elsewhere(
        r'troubleshooting\.md: (MMCV_WITH_OPS=1 )?pip install .*', 'mends a broken environment from an index'
    ),
    Elsewhere(
        r'pictures\.md: pip install tensorboard',
        'from an index: the tests have it',
        'tests/training/test_tensorboard.py::test_scalars_go_into_both_files',
    ),
    Elsewhere(
        r'getting_started\.md: pip install -e \S+ --no-build-isolation',
        'would change the environment of the tests; they run in one that was made by it',
        'tests/test_packaging.py::test_editable_install_links_configs_and_tools',
    ),
    Elsewhere(
        r'several_gpus\.md: torchrun .* --launcher pytorch',
        'several GPUs or machines; the test has two processes without GPUs',
        'tests/training/test_launchers.py::test_torchrun_ends_when_a_process_is_killed',
    ),
    Elsewhere(
        r'several_gpus\.md: srun .* --launcher slurm',
        "several GPUs or machines; the test has srun's environment",
        'tests/training/test_launchers.py::test_srun_trains_with_a_notice_of_norms',
    ),
    Elsewhere(r'several_gpus\.md: mim train .* --launcher pytorch --gpus \d', 'several GPUs'),
    Elsewhere(r'performance\.md: tools/train\.py --amp', 'names an option, which needs a GPU'),
    Elsewhere(
        r'\S+: tools/test\.py (\.\.\. )?--fast',
        'names an option',
        'tests/dev/zoo/test_zoo_runs.py::test_one_config_of_each_group_trains_and_evaluates',
    ),
    Elsewhere(
        r'(README|published_figures)\.md: (python )?tools/complexity\.py --table',
        'a minute of large networks',
        'tests/analysis/test_published.py::test_the_page_in_docs_is_up_to_date',
    ),
    Elsewhere(
        r'performance\.md: python tools/complexity\.py CONFIG --train-memory \[--batch N\] .*',
        'names all options; troubleshooting.md has the command',
        'tests/analysis/test_training_memory.py::test_the_largest_batch_fits_and_one_more_does_not',
    ),
    Elsewhere(
        r'comparison\.md: python tools/complexity\.py --compare',
        'minutes of large networks',
        'tests/analysis/test_comparison.py::test_the_comparison_in_docs_is_up_to_date',
    ),
    Elsewhere(
        r'model_zoo\.md: python tools/model_zoo\.py',
        'writes over files of the project: what it would write is compared',
        'tests/dev/zoo/test_model_zoo.py::test_rows_are_what_the_configs_give',
    ),
    Elsewhere(
        r'swap_results\.md: tools/walk_swaps\.py --arch w18_small_v1 --necks keep',
        'twenty minutes',
        'tests/dev/walking/test_walk.py::test_no_config_of_a_tenth_fails',
    ),
)


def substituted(line: str) -> tuple[str, list[Substitution]]:
    """A command line as it is run in the workplace, and what was changed."""
    changes = []
    for substitution in SUBSTITUTIONS:
        line, count = re.subn(substitution.pattern, substitution.by, line)
        changes += [substitution] * bool(count)
    return line, changes


def elsewhere(place: str) -> Elsewhere | None:
    """Where a command (``page: line``) is run instead, or why it is not."""
    return next((entry for entry in ELSEWHERE if re.fullmatch(entry.pattern, place)), None)
