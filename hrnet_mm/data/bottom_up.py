"""What mmpose 1.3 lacks to train its associative embedding: it ships such models for testing alone.

Its head asks for keypoint indices that no pipeline packs, and weighs heatmaps, one set an image, by people,
of whom there are any number. Its mask of people without keypoints leaves crowds out, and fails under numpy 2
because of xtcocotools. A config that trains imports this module; nothing of mmpose's is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.image import imflip
from mmengine.registry import MODELS, TRANSFORMS
from torch import Tensor, nn


@TRANSFORMS.register_module()
class MaskUnannotatedPeople:
    """``heatmap_mask``: where people are annotated, or nobody stands; the loss leaves out the rest.

    It comes after ``GenerateTarget``. Single people without keypoints have polygons, crowds run lengths.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw the mask, bring it to the heatmaps' place and size, ``(H, W)``, true where valid."""
        mask = 1 - _drawn(results.get('invalid_segs', ()), size=results['img_shape'][:2])
        if 'warp_mat' in results:
            # beyond the image's edge is nothing to learn from either
            mask = cv2.warpAffine(mask, results['warp_mat'], results['input_size'], flags=cv2.INTER_LINEAR)
        if results.get('flip'):
            mask = imflip(mask, results['flip_direction'])
        height, width = results['heatmaps'].shape[1:]
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        return {**results, 'heatmap_mask': mask > 0.5}


def _drawn(segmentations: Sequence[Any], *, size: Sequence[int]) -> np.ndarray:
    """Segmentations in COCO's forms as ones on a map of ``(height, width)`` zeros, float32."""
    from pycocotools import mask as coco

    drawn = np.zeros(size, np.float32)
    for segmentation in segmentations:
        if isinstance(segmentation, dict) and isinstance(segmentation['counts'], (str, bytes)):
            runs = [segmentation]
        else:
            made = coco.frPyObjects(segmentation, *size)
            runs = made if isinstance(made, list) else [made]
        drawn[coco.decode(coco.merge(runs)) > 0] = 1
    return drawn


@TRANSFORMS.register_module()
class KeepKeypointIndices:
    """Have ``PackPoseInputs``, which comes after it, pack where in the heatmaps people's keypoints are."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Name the labels to pack.

        Args:
            results: as ``GenerateTarget`` with an ``AssociativeEmbedding`` codec leaves them.

        Raises:
            ValueError: another codec made the targets.
        """
        if 'keypoint_indices' not in results:
            raise ValueError(
                f'results of KeepKeypointIndices hold {", ".join(results)}; expected keypoint_indices, '
                'from GenerateTarget with the codec AssociativeEmbedding before it'
            )
        labels = {name: name for name in ('keypoint_weights', 'keypoint_indices')}
        return {**results, 'label_mapping_table': labels}


@MODELS.register_module()
class ValidRegionMSELoss(nn.Module):
    """Squared error of heatmaps, zero outside the valid region.

    This is the heatmap loss of bottom-up HRNets (HigherHRNet, arXiv 1908.10357, section 3).
    """

    def forward(self, output: Tensor, target: Tensor, weights: Any, mask: Tensor) -> Tensor:
        """Compute the mean over all pixels, masked ones included.

        Args:
            output: ``(N, K, H, W)``.
            target: ``(N, K, H, W)``.
            weights: of each person's keypoints, which mmpose's head hands over; not used.
            mask: ``(N, 1, H, W)``, true in valid regions.
        """
        return ((output - target).square() * mask).mean()
