"""Our shipped configs, each read once for all tests. Reading one takes as long as building its model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hrnet_mm.config.load import load_config

FOLDER = Path(__file__).resolve().parents[1] / 'configs'
#: Of several tasks.
JOINT_CONFIGS = sorted(FOLDER.glob('*_joint_*.py'))
CONFIGS = sorted({*FOLDER.glob('*.py')} - {*JOINT_CONFIGS})
#: Those of other networks than HRNet.
RELATIVES = sorted(FOLDER.glob('relatives/*.py'))

#: Path -> the config. No test may change it; `copy.deepcopy` it first.
read_config = cache(load_config)
