"""What a user installs: the wheel, the pinned environment, and the set-up that makes it."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path

import pytest
from clean_environment import run_there
from own_configs import CONFIGS

import hrnet_mm

ROOT = Path(__file__).resolve().parents[1]
BASE_PYTHON = getattr(sys, '_base_executable', sys.executable)


_spec = importlib.util.spec_from_file_location('environment', ROOT / '.ci' / 'environment.py')
assert _spec is not None and _spec.loader is not None
environment = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(environment)

# --- The wheel ------------------------------------------------------------------------------


def sources(folder: str) -> set[str]:
    paths = (ROOT / folder).rglob('*')
    return {str(path.relative_to(ROOT)) for path in paths if path.suffix in ('.py', '.yml')}


def test_wheel_holds_the_package_configs_and_tools_and_says_what_it_is(wheel: Path) -> None:
    """Configs and tools where mim looks for them."""
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        (name,) = (name for name in files if name.endswith('.dist-info/METADATA'))
        metadata = Parser().parsestr(archive.read(name).decode())
    expected = {name for name in sources('hrnet_mm') if '/.mim/' not in name}
    for folder in ('configs', 'tools'):
        expected |= {f'hrnet_mm/.mim/{name}' for name in sources(folder) if 'tools/dev/' not in name}
    shipped = {name for name in files if name.endswith(('.py', '.yml'))}
    assert shipped - {'hrnet_mm/.mim/model-index.yml'} == expected
    assert 'hrnet_mm/py.typed' in files and any(name.endswith('/LICENSE') for name in files)
    assert (metadata['Name'], metadata['Version']) == ('hrnet_mm', hrnet_mm.__version__)
    assert version('hrnet_mm') == hrnet_mm.__version__
    extras = {'pose', 'seg', 'det', 'cls', 'onnx', 'tensorboard', 'benchmark', 'dev'}
    assert set(metadata.get_all('Provides-Extra', [])) == extras


def test_building_leaves_nothing_in_the_checkout(wheel: Path) -> None:
    assert not (ROOT / 'build').exists() and not list(ROOT.glob('*.egg-info'))


def in_wheel(python: Path, name: str) -> Path:
    """A path in the installed package."""
    (path,) = python.parents[1].glob(f'lib/python*/site-packages/hrnet_mm/{name}')
    return path


def test_an_installed_wheel_is_found_by_import_and_by_mim(elsewhere: Path, tmp_path: Path) -> None:
    """With all configs, by the index and the metafiles that the wheel brings."""
    code = 'import hrnet_mm as h, mim.utils as m; print(h.__file__, m.get_installed_path("hrnet_mm"))'
    answer = run_there(elsewhere, '-c', code, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    imported, found = answer.stdout.split()
    assert (Path(imported), Path(found)) == (in_wheel(elsewhere, '__init__.py'), in_wheel(elsewhere, ''))
    search = ('-m', 'mim', 'search', 'hrnet_mm', '--json', 'found.json')
    assert run_there(elsewhere, *search, cwd=tmp_path).returncode == 0
    record = json.loads((tmp_path / 'found.json').read_text())
    assert len(record['parameters']) == len(CONFIGS)


def test_a_config_of_an_installed_wheel_goes_by_its_name(elsewhere: Path, tmp_path: Path) -> None:
    """``mim run`` finds our tool, the tool our config, and a config of the user's own inherits it."""
    named = 'hrnet_mm::hrnet_w18_small_v1_cifar10.py'
    code = f'from hrnet_mm.config import find_config; print(find_config({named!r}))'  # as docs/own_data.md
    base = run_there(elsewhere, '-c', code, cwd=tmp_path).stdout.strip()
    (tmp_path / 'mine.py').write_text(f'_base_ = {base!r}\n')
    tool = in_wheel(elsewhere, '.mim/tools/complexity.py')
    answers = [
        run_there(elsewhere, '-m', 'mim', 'run', 'hrnet_mm', 'complexity', named, cwd=tmp_path),
        run_there(elsewhere, tool, 'mine.py', cwd=tmp_path),
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers
    by_name, inherited = (re.findall(r'.*parameters.*', answer.stdout) for answer in answers)
    assert by_name and by_name == inherited


def test_editable_install_links_configs_and_tools() -> None:
    if not (ROOT / 'hrnet_mm' / '.mim').exists():
        pytest.skip('not an editable install')
    for folder in ('configs', 'tools'):
        assert (ROOT / 'hrnet_mm' / '.mim' / folder).resolve() == ROOT / folder


# --- The pinned environment -----------------------------------------------------------------


def test_requirements_pin_every_line_and_leave_the_platforms_pieces_to_torch() -> None:
    for line in (ROOT / 'requirements.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            assert re.fullmatch(r'(?!nvidia|triton|cuda)[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*', line), line


def test_environment_is_the_pinned_one() -> None:
    assert environment.differences() == []


def test_differences_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / 'requirements.txt'
    lock.write_text('# a comment\n\nnumpy==0.1\nno-such-package==1.0\n')
    monkeypatch.setattr(environment, 'LOCK', lock)
    numpy = f'numpy {version("numpy")}, not 0.1'
    assert environment.differences() == [numpy, 'no-such-package missing, not 1.0']


def test_the_compiler_from_wheels_is_laid_out_as_a_toolkit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = tmp_path / 'nvidia' / 'cu13' / 'lib'
    libraries.mkdir(parents=True)
    (libraries / 'libcudart.so.13').write_text('library')
    monkeypatch.setattr(environment.sysconfig, 'get_path', lambda name: str(tmp_path))
    for _ in range(2):
        home = Path(environment.cuda_home())
        assert (home / 'lib64' / 'libcudart.so').read_text() == 'library'


# --- What may be imported where -------------------------------------------------------------


def imported_modules(path: Path) -> set[str]:
    """Absolute imports anywhere in a file, as dotted names; relative ones are our own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def test_models_need_only_torch_mmengine_and_mmcv_cnn() -> None:
    allowed = {'torch', 'mmengine', 'hrnet_mm', *sys.stdlib_module_names}
    for name in sources('hrnet_mm/models'):
        outside = {module for module in imported_modules(ROOT / name) if module.split('.')[0] not in allowed}
        assert all(f'{module}.'.startswith('mmcv.cnn.') for module in outside), name


# --- The set-up -----------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with as much in it as the set-up reads before it installs anything."""
    folder = tmp_path / 'a checkout'
    shutil.copytree(ROOT / '.ci', folder / '.ci')
    (folder / 'hrnet_mm').mkdir()
    for name in ('requirements.txt', 'setup.py', 'hrnet_mm/version.py'):
        shutil.copy(ROOT / name, folder / name)
    return folder


def set_up(checkout: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up as a user would, untouched by the settings of whoever runs the tests."""
    env = {name: os.environ[name] for name in ('HOME', 'LANG', 'PATH') if name in os.environ}
    return subprocess.run(
        [shutil.which('bash') or 'bash', checkout / '.ci' / 'setup.sh', *options],
        env=env | variables,
        capture_output=True,
        text=True,
    )


def the_one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith('set-up stopped: ')
    return line


def test_set_up_without_a_compiler(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / 'bin'
    tools.mkdir()
    for name in ('bash', 'dirname', 'realpath'):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / 'python3').symlink_to(BASE_PYTHON)
    line = the_one_line(set_up(checkout, PATH=str(tools)))
    assert 'no working C++ compiler' in line and 'build-essential' in line
    assert not (checkout / '.venv').exists()


def test_set_up_with_an_old_python_or_one_that_is_not_there(checkout: Path, tmp_path: Path) -> None:
    pretend = 'import runpy, sys; sys.version_info = (3, 8, 0); del sys.argv[0]; ' + (
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    python = tmp_path / 'python3.8'
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{pretend}" "$@"\n')
    python.chmod(0o755)
    line = the_one_line(set_up(checkout, PYTHON=str(python)))
    assert f'{python} is Python 3.8' in line and 'PYTHON=' in line
    line = the_one_line(set_up(checkout, PYTHON='/no/such/python3.11'))
    assert '/no/such/python3.11 does not run' in line
    assert not (checkout / '.venv').exists()


def test_set_up_leaves_a_folder_alone_that_it_did_not_make(checkout: Path) -> None:
    (checkout / '.venv').mkdir()
    (checkout / '.venv' / 'mine').write_text('precious')
    assert 'VENV=' in the_one_line(set_up(checkout))
    assert [path.name for path in (checkout / '.venv').iterdir()] == ['mine']


def test_set_up_without_network(checkout: Path) -> None:
    index = 'http://127.0.0.1:9/simple'
    nowhere = {'PIP_INDEX_URL': index, 'PIP_RETRIES': '1', 'PIP_CONFIG_FILE': os.devnull}
    line = the_one_line(set_up(checkout, PYTHON=BASE_PYTHON, **nowhere))
    assert 'no network' in line
    log = re.search(r'\(log: (.+)\)$', line)
    assert log is not None and 'Connection refused' in Path(log[1]).read_text()
    assert set_up(checkout, '--check').returncode == 1


def test_set_up_that_is_complete_does_nothing() -> None:
    here = {'VENV': os.environ.get('VENV', sys.prefix)}
    if set_up(ROOT, '--check', **here).returncode:
        pytest.skip('this environment was not made by the set-up, or the set-up changed since')
    answer = set_up(ROOT, **here)
    assert (answer.returncode, answer.stderr) == (0, '')
    assert answer.stdout.splitlines() == [f'Set-up is complete: {(ROOT / here["VENV"])}']
