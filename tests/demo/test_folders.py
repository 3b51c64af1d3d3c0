"""What `generate` does with the folder it is given, and with arguments that are off."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tool_runs import in_process

from hrnet_mm.demo import draw_scene, generate

SMALL = dict(train=1, val=1, size=(96, 120), progress=False)
PICTURE = 'coco/train2017/000000000001.jpg'


def test_the_same_request_is_not_drawn_twice_but_where_a_file_is_lost(tmp_path):
    assert generate(tmp_path, **SMALL)
    content, before = (tmp_path / PICTURE).read_bytes(), (tmp_path / PICTURE).stat().st_mtime_ns
    assert not generate(tmp_path, **SMALL)
    assert (tmp_path / PICTURE).stat().st_mtime_ns == before
    (tmp_path / PICTURE).unlink()
    assert generate(tmp_path, **SMALL)
    assert (tmp_path / PICTURE).read_bytes() == content


def test_what_was_broken_off_or_drawn_by_an_earlier_version_is_done_again(tmp_path, monkeypatch):
    def fail(*_arguments, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('hrnet_mm.demo.dataset.draw_scene', fail)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path, **SMALL)
    assert json.loads((tmp_path / 'manifest.json').read_text())['complete'] is False
    assert generate(tmp_path, **SMALL)
    monkeypatch.setattr('hrnet_mm.demo.dataset.VERSION', 99)
    assert generate(tmp_path, **SMALL)
    assert not generate(tmp_path, **SMALL)


def test_another_request_needs_overwrite_and_spares_other_files(tmp_path):
    generate(tmp_path, **{**SMALL, 'train': 2})
    notes = tmp_path / 'coco/train2017/notes.txt'
    notes.write_text('mine')
    with pytest.raises(FileExistsError, match=r'another data set.*overwrite'):
        generate(tmp_path, **SMALL)
    assert (tmp_path / 'coco/train2017/000000000002.jpg').exists()
    assert generate(tmp_path, **SMALL, overwrite=True)
    assert not (tmp_path / 'coco/train2017/000000000002.jpg').exists()
    assert notes.read_text() == 'mine'


@pytest.mark.parametrize(
    ('name', 'overwrite'), [(PICTURE, True), ('manifest.json', True), ('holiday.jpg', False)]
)
def test_a_foreign_folder_is_left_alone(tmp_path, name, overwrite):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('mine')
    with pytest.raises(FileExistsError, match='files of another origin'):
        generate(tmp_path, **SMALL, overwrite=overwrite)
    assert [path.read_text() for path in tmp_path.rglob('*') if path.is_file()] == ['mine']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(train=0), r'train=0: expected a whole number of at least 1'),
        (dict(val=1.5), r'val=1.5: expected a whole number'),
        (dict(seed=-1), r'seed=-1: expected a whole number of at least 0'),
        (dict(size=(95, 320)), r'size=\(95, 320\): expected \(height, width\).*at least 96'),
        (dict(people=(4, 3)), r'people=\(4, 3\): expected \(least, most\)'),
        (dict(people=(0, 41)), r'people=\(0, 41\): expected .* <= 40'),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / 'data', **{**SMALL, **arguments})
    assert not (tmp_path / 'data').exists()
    if arguments.keys() <= {'size', 'people'}:
        with pytest.raises(ValueError, match=message):
            draw_scene(np.random.default_rng(0), **arguments)


def test_root_must_not_be_in_a_file(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match=r'root=.*file.*: expected a writable folder'):
        generate(tmp_path / 'file/deep', **SMALL)


def test_command_line(tmp_path, monkeypatch, capsys):
    common = [tmp_path / 'data', '--train', 1, '--val', 1, '--size', 96, 120]

    def run(*arguments: str) -> tuple[object, str, str]:
        status = in_process('make_synthetic.py', *common, *arguments, monkeypatch=monkeypatch)
        return status, *capsys.readouterr()

    status, out, err = run()
    assert status == 0 and out.startswith('drawn:')
    assert 'Drawing street scenes' in err and '2/2' in err and '<' in err  # the remaining time
    status, out, err = run('--quiet')
    assert (status, err) == (0, '') and out.startswith('already drawn:')
    status, out, err = run('--seed', '1')
    assert (status, out) == (2, '') and err.startswith('error: ') and '--overwrite' in err
    assert err.count('\n') == 1
