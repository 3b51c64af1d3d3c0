"""Our names resolve from every OpenMMLab package, and without any of them."""

from __future__ import annotations

import pytest
from mmengine.registry import MODELS as ROOT_MODELS
from peers import CODEBASES, in_scope, models_of
from tool_runs import run_fresh

import hrnet_mm
from hrnet_mm.registry import MODELS as OUR_MODELS
from hrnet_mm.registry import register_model

IN_ROOT = ('HRNetBackbone', 'HRNetV2Neck', 'HRNetClassificationNeck')


@pytest.mark.parametrize('scope', CODEBASES)
def test_names_resolve_from_every_registry_in_every_scope(scope):
    for default_scope in (None, *CODEBASES):
        for name in IN_ROOT:
            for prefix in ('', 'hrnet_mm.'):
                with in_scope(default_scope):
                    assert models_of(scope).get(prefix + name) is getattr(hrnet_mm, name)
    assert models_of(scope).get('HRNet').__module__ == f'{scope}.models.backbones.hrnet'
    assert models_of('mmdet').get('HRFPN').__module__ == 'mmdet.models.necks.hrfpn'
    assert 'HRFPN' not in ROOT_MODELS.module_dict
    assert not {'SegNet', 'DeconvNet'} & set(ROOT_MODELS.module_dict)
    for name in (*IN_ROOT, 'HRFPN', 'SegNet', 'DeconvNet'):
        assert OUR_MODELS.get(name) is getattr(hrnet_mm, name)


@pytest.mark.parametrize('in_root', [True, False])
def test_registering(in_root):
    cls = type('OnlyForThisTest', (), {})
    try:
        assert register_model(in_root=in_root)(cls) is cls
        assert OUR_MODELS.module_dict['OnlyForThisTest'] is cls
        assert ('OnlyForThisTest' in ROOT_MODELS.module_dict) is in_root
    finally:
        OUR_MODELS.module_dict.pop('OnlyForThisTest')
        ROOT_MODELS.module_dict.pop('OnlyForThisTest', None)


def test_it_works_where_no_package_can_be_imported():
    """Each package is optional, and so are mmcv's compiled operators."""
    out = run_fresh(
        """
        import sys, warnings
        warnings.simplefilter('ignore')
        for name in ('mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'timm', 'mim', 'mmcv.ops', 'mmcv._ext'):
            sys.modules[name] = None  # importing it now raises ImportError
        import torch
        from mmengine.logging import MMLogger
        from mmengine.registry import MODELS, DefaultScope
        MMLogger.get_instance('mmengine', log_level='ERROR')  # it warns of what we just did
        import hrnet_mm

        for scope in (None, 'mmdet', 'mmseg', 'mmpose', 'mmpretrain'):
            with DefaultScope.overwrite_default_scope(scope):
                for prefix in ('hrnet_mm.', ''):
                    cfg = dict(type=prefix + 'HRNetBackbone', arch='w18_small_v1')
                    model = MODELS.build(cfg).eval()
            with torch.no_grad():
                print(scope, len(model(torch.zeros(1, 3, 32, 32))))
        print(type(MODELS.build(dict(type='hrnet_mm.HRFPN', in_channels=[2], out_channels=2))).__module__)
        """
    )
    assert out.splitlines() == [
        'None 4',
        'mmdet 4',
        'mmseg 4',
        'mmpose 1',
        'mmpretrain 4',
        'hrnet_mm.models.necks.hrnet_v2',
    ]


def test_importing_loads_no_package():
    """``hrnet_mm`` looks packages up when they are used, so importing it stays quick."""
    out = run_fresh(
        """
        import sys
        import hrnet_mm
        optional = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'timm', 'mmcv.ops', 'hrnet_mm.relatives')
        print([name for name in optional if name in sys.modules])
        """
    )
    assert out == '[]'


def test_custom_imports_of_a_config_are_enough(tmp_path):
    """What a user's config does, in a fresh interpreter."""
    for scope in CODEBASES:
        (tmp_path / f'{scope}.py').write_text(
            f"default_scope = '{scope}'\n"
            "custom_imports = dict(imports=['hrnet_mm'])\n"
            "model = dict(type='HRNetBackbone', arch='w18_small_v1')\n"
        )
    out = run_fresh(
        f"""
        import importlib, warnings
        warnings.simplefilter('ignore')
        from mmengine.config import Config
        from mmengine.registry import init_default_scope
        for scope in {CODEBASES!r}:
            cfg = Config.fromfile({str(tmp_path)!r} + f'/{{scope}}.py')
            init_default_scope(cfg.default_scope)
            model = importlib.import_module(f'{{scope}}.registry').MODELS.build(cfg.model)
            print(scope, type(model).__module__, len(model.out_channels))
        """
    )
    truth = [f'{s} hrnet_mm.models.backbone {1 if s == "mmpose" else 4}' for s in CODEBASES]
    assert [line for line in out.splitlines() if line.startswith('mm')] == truth
