"""Which published accuracy belongs to which config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hrnet_mm.analysis.published import (
    PUBLISHED_SCORES,
    PUBLISHED_SIZES,
    SOURCES,
    PublishedScore,
    PublishedSize,
)


@dataclass(frozen=True)
class Accuracy:
    """What others reached: never a result of ours.

    Attributes:
        scores: metric -> as printed.
        setting: how it was measured, where the source mixes settings.
        source: where it was published.
    """

    scores: Mapping[str, str]
    setting: str
    source: str


@dataclass(frozen=True)
class PackageScore:
    """What a package's metafile says of a model of its own that has the same network and recipe.

    Attributes:
        config: ours.
        package: whose metafile.
        model: name in the metafile.
        scores: metric -> as printed there.
    """

    config: str
    package: str
    model: str
    scores: Mapping[str, str]


def _pose_variants() -> list[PackageScore]:
    rows = [
        ('w32', 'udp', '8xb64', '256x192', '0.762'),
        ('w32', 'udp', '8xb64', '384x288', '0.768'),
        ('w48', 'udp', '8xb32', '256x192', '0.768'),
        ('w48', 'udp', '8xb32', '384x288', '0.773'),
        ('w32', 'dark', '8xb64', '256x192', '0.757'),
        ('w32', 'dark', '8xb64', '384x288', '0.766'),
        ('w48', 'dark', '8xb32', '256x192', '0.764'),
        ('w48', 'dark', '8xb32', '384x288', '0.772'),
    ]
    return [
        PackageScore(
            config=f'hrnetv1_{arch}_{variant}_coco_{size}.py',
            package='mmpose',
            model=f'td-hm_hrnet-{arch}_{variant}-{batch}-210e_coco-{size}',
            scores={'AP': ap},
        )
        for arch, variant, batch, size, ap in rows
    ]


def _mpii() -> list[PackageScore]:
    rows = [
        ('w32', '', '_8xb64', '0.900'),
        ('w48', '', '_8xb64', '0.901'),
        ('w32', '_dark', '_dark-8xb64', '0.904'),
        ('w48', '_dark', '_dark-8xb64', '0.905'),
    ]
    return [
        PackageScore(
            config=f'hrnetv1_{arch}{variant}_mpii_256x256.py',
            package='mmpose',
            model=f'td-hm_hrnet-{arch}{recipe}-210e_mpii-256x256',
            scores={'Mean': pckh},
        )
        for arch, variant, recipe, pckh in rows
    ]


def _detectors() -> list[PackageScore]:
    rows = [
        ('w40_mask_rcnn_coco_1x', 'mask-rcnn_hrnetv2p-w40_1x_coco', '42.1', '37.5'),
        ('w40_mask_rcnn_coco_2x', 'mask-rcnn_hrnetv2p-w40-2x_coco', '42.8', '38.2'),
        ('w40_cascade_rcnn_coco_20e', 'cascade-rcnn_hrnetv2p-w40-20e_coco', '43.8', None),
        ('w40_cascade_mask_rcnn_coco_20e', 'cascade-mask-rcnn_hrnetv2p-w40-20e_coco', '45.1', '39.3'),
        ('w40_htc_coco_20e', 'htc_hrnetv2p-w40_20e_coco', '46.4', '40.8'),
        ('w18_fcos_coco_2x_ms', 'fcos_hrnetv2p-w18-gn-head_ms-640-800-4xb4-2x_coco', '38.3', None),
        ('w32_fcos_coco_2x_ms', 'fcos_hrnetv2p-w32-gn-head_ms-640-800-4xb4-2x_coco', '41.9', None),
        ('w40_fcos_coco_2x_ms', 'fcos_hrnetv2p-w40-gn-head_ms-640-800-4xb4-2x_coco', '42.7', None),
    ]
    return [
        PackageScore(
            config=f'hrnetv2p_{config}.py',
            package='mmdet',
            model=model,
            scores={'box AP': box_ap} | ({'mask AP': mask_ap} if mask_ap else {}),
        )
        for config, model, box_ap, mask_ap in rows
    ]


PACKAGE_SCORES: tuple[PackageScore, ...] = (
    *_pose_variants(),
    *_mpii(),
    PackageScore(
        config='hrnetv1_w32_ae_coco_512x512.py',
        package='mmpose',
        model='ae_hrnet-w32_8xb24-300e_coco-512x512',
        scores={'AP': '0.656'},
    ),
    *_detectors(),
)


def published_accuracy(config: str) -> Accuracy | None:
    """The accuracy of a config's network: the authors', else its own package's, else ``None``."""
    rows: list[PublishedSize | PublishedScore] = [*PUBLISHED_SIZES, *PUBLISHED_SCORES]
    for row in rows:
        if row.config == config and row.scores:
            return Accuracy(scores=row.scores, setting=row.setting, source=SOURCES[row.task])
    for other in PACKAGE_SCORES:
        if other.config == config:
            source = f"not the authors' but {other.package}'s, of its own copy: its metafiles"
            return Accuracy(scores=other.scores, setting='', source=source)
    return None
