"""What classes and keypoints are called, where only the config says so."""

from __future__ import annotations

from mmengine.config import Config

from hrnet_mm.pictures.metadata import data_set_meta


def test_own_keypoints_take_the_place_of_the_data_sets() -> None:
    """As in mmpose, whose CocoDataset else brings COCO's seventeen."""
    info = {
        i: {'name': n, 'id': i, 'color': [0, 0, 0], 'type': '', 'swap': ''}
        for i, n in enumerate(('wrist', 'thumb'))
    }
    own = {'dataset_name': 'hands', 'keypoint_info': info, 'skeleton_info': {}}
    own |= {'joint_weights': [1.0] * 2, 'sigmas': [0.05] * 2}
    for metainfo, count in ((own, 2), (None, 17)):
        data = {'type': 'CocoDataset', **({'metainfo': metainfo} if metainfo else {})}
        cfg = Config({'default_scope': 'mmpose', 'test_dataloader': {'dataset': data}})
        assert len(data_set_meta(cfg, checkpoint_meta={})['keypoint_id2name']) == count
