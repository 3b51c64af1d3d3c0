"""What `generate` does with the folder it is given, and with arguments that are off."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from hrnet_mm.demo.dataset import generate
from hrnet_mm.demo.scene import draw_scene

SMALL = dict(train=1, val=1, size=(96, 120), progress=False)
PICTURE = 'coco/train2017/000000000001.jpg'


def test_the_same_request_is_not_drawn_twice(tmp_path):
    assert generate(tmp_path, **SMALL).drawn
    before = (tmp_path / PICTURE).stat().st_mtime_ns
    assert not generate(tmp_path, **SMALL).drawn
    assert (tmp_path / PICTURE).stat().st_mtime_ns == before


def test_a_lost_file_is_drawn_again(tmp_path):
    generate(tmp_path, **SMALL)
    content = (tmp_path / PICTURE).read_bytes()
    (tmp_path / PICTURE).unlink()
    assert generate(tmp_path, **SMALL).drawn
    assert (tmp_path / PICTURE).read_bytes() == content


def test_a_run_that_was_broken_off_is_done_again(tmp_path, monkeypatch):
    def fail(*_arguments, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('hrnet_mm.demo.dataset.draw_scene', fail)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path, **SMALL)
    assert generate(tmp_path, **SMALL).drawn
    assert not generate(tmp_path, **SMALL).drawn


def test_another_request_needs_overwrite_and_spares_other_files(tmp_path):
    generate(tmp_path, **{**SMALL, 'train': 2})
    notes = tmp_path / 'coco/train2017/notes.txt'
    notes.write_text('mine')
    with pytest.raises(FileExistsError, match=r'another data set.*overwrite'):
        generate(tmp_path, **SMALL)
    assert (tmp_path / 'coco/train2017/000000000002.jpg').exists()
    assert generate(tmp_path, **SMALL, overwrite=True).drawn
    assert not (tmp_path / 'coco/train2017/000000000002.jpg').exists()
    assert notes.read_text() == 'mine'


def test_a_folder_of_another_origin_is_refused(tmp_path):
    (tmp_path / 'holiday.jpg').write_text('mine')
    with pytest.raises(FileExistsError, match='files of another origin'):
        generate(tmp_path, **SMALL)
    assert generate(tmp_path, **SMALL, overwrite=True).drawn
    assert (tmp_path / 'holiday.jpg').read_text() == 'mine'


@pytest.mark.parametrize('name', [PICTURE, 'manifest.json'])
def test_a_foreign_file_in_the_way_is_never_replaced(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('mine')
    with pytest.raises(FileExistsError, match=Path(name).name):
        generate(tmp_path, **SMALL, overwrite=True)
    assert (tmp_path / name).read_text() == 'mine'
    assert sum(path.is_file() for path in tmp_path.rglob('*')) == 1


def test_a_manifest_that_points_outside_removes_nothing(tmp_path):
    root, outside = tmp_path / 'data', tmp_path / 'outside.txt'
    outside.write_text('mine')
    generate(root, **SMALL)
    manifest = json.loads((root / 'manifest.json').read_text())
    manifest['files'].append('../outside.txt')
    manifest['request']['seed'] = 5
    (root / 'manifest.json').write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match='expected only files inside'):
        generate(root, **SMALL, overwrite=True)
    assert outside.exists() and (root / PICTURE).exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(train=0), r'train=0: expected a whole number of at least 1'),
        (dict(val=0), r'val=0: expected a whole number of at least 1'),
        (dict(val=1.5), r'val=1.5: expected a whole number'),
        (dict(train=True), r'train=True: expected a whole number'),
        (dict(seed=-1), r'seed=-1: expected a whole number of at least 0'),
        (dict(size=(95, 320)), r'size=\(95, 320\): expected \(height, width\).*at least 96'),
        (dict(size=192), r'size=192: expected \(height, width\)'),
        (dict(size=(192.0, 320)), r'size=\(192.0, 320\): expected'),
        (dict(people=(-1, 3)), r'people=\(-1, 3\): expected \(least, most\)'),
        (dict(people=(4, 3)), r'people=\(4, 3\): expected \(least, most\)'),
        (dict(people=(0, 41)), r'people=\(0, 41\): expected .* <= 40'),
        (dict(people=3), r'people=3: expected \(least, most\)'),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / 'data', **{**SMALL, **arguments})
    assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize('root', [None, '', 3])
def test_root_must_be_a_path(root):
    with pytest.raises(ValueError, match=r'root=.*expected the path of a folder'):
        generate(root, **SMALL)


@pytest.mark.parametrize('below', ['', 'data/deep'])
def test_root_must_not_be_a_file(tmp_path, below):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match=r'root=.*expected a folder, but .* is a file'):
        generate(tmp_path / 'file' / below, **SMALL)


def test_root_must_be_writable(tmp_path, monkeypatch):
    # asked of the system, because a superuser may write anywhere
    monkeypatch.setattr('os.access', lambda *_: False)
    with pytest.raises(ValueError, match=r'root=.*expected a writable folder'):
        generate(tmp_path / 'data', **SMALL)


def test_draw_scene_checks_its_arguments():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r'size=\(10, 10\)'):
        draw_scene(rng, size=(10, 10))
    with pytest.raises(ValueError, match=r'people=\(2, 1\)'):
        draw_scene(rng, people=(2, 1))


def test_progress_shows_the_remaining_time(tmp_path, capsys):
    generate(tmp_path, **{**SMALL, 'progress': True})
    shown = capsys.readouterr().err
    assert 'Drawing street scenes' in shown and '2/2' in shown and '<' in shown


def test_command_line(tmp_path, monkeypatch, capsys):
    tool = Path(__file__).parents[2] / 'tools/make_synthetic.py'
    common = [str(tmp_path / 'data'), '--train', '1', '--val', '1', '--size', '96', '120', '--quiet']

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr('sys.argv', [str(tool), *common, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(tool), run_name='__main__')
        return stop.value.code, *capsys.readouterr()

    status, out, err = run()
    assert (status, err) == (0, '') and out.startswith('drawn:')
    status, out, _ = run()
    assert status == 0 and out.startswith('already drawn:')
    status, out, err = run('--seed', '1')
    assert (status, out) == (2, '') and err.startswith('error: ') and '--overwrite' in err
    assert err.count('\n') == 1
