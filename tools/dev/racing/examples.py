"""Example predictions of all networks beside the truth, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mmengine.registry import HOOKS
from mmengine.runner import Runner

from hrnet_mm.data.loading import ImageLoader
from hrnet_mm.pictures.browse import spread
from hrnet_mm.pictures.canvas import Image, captioned, enlargement, page_of, write_image
from hrnet_mm.pictures.painter import Layer, paint
from hrnet_mm.pictures.pair_pictures_hook import PairPicturesHook

_EXAMPLES: Final = 4
_LEAST_SCORE: Final = 0.3  # boxes and keypoints below it are left out
_GAP: Final = 8  # pixels
_TEXT: Final = 16


@HOOKS.register_module()
class ExamplesHook(PairPicturesHook):
    """Draw truth and predictions of a few test images, spread evenly, as pictures of their own.

    Args:
        folder: To write ``truth/`` and ``prediction/`` to.
    """

    def __init__(self, *, folder: str) -> None:
        super().__init__(show_dir=folder)

    def before_test_epoch(self, runner: Runner) -> None:
        """Choose the images."""
        super().before_test_epoch(runner)
        dataset = runner.test_dataloader.dataset
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        images = list(dict.fromkeys(info['img_path'] for info in infos))
        self._chosen = {images[index] for index in spread(len(images), _EXAMPLES)}

    def _draw(self, shot: Any) -> None:
        if shot.image not in self._chosen:
            return
        image = self._loader.visible(self._loader.read(shot.image))
        layers = {'truth': shot.truth, 'prediction': [shot.prediction]}
        for name, found in layers.items():
            drawn = paint(
                image, [Layer(name, each, self._metadata) for each in found], least_score=_LEAST_SCORE
            )
            width = enlargement(image) * image.shape[1]  # without the legend of label maps
            write_image(self._show_dir / name / f'{Path(shot.name).stem}.png', drawn[:, :width])


def examples_page(folders: dict[str, Path]) -> Image:
    """A row for each image: the truth, then what each network makes of it.

    Args:
        folders: Name of the network -> its ``ExamplesHook``'s folder.
    """
    columns = {'truth': next(iter(folders.values())) / 'truth'}
    columns |= {name: folder / 'prediction' for name, folder in folders.items()}
    loader = ImageLoader()
    rows = [[loader.read(file) for file in sorted(folder.iterdir())] for folder in columns.values()]
    cells = [cell for row in zip(*rows, strict=True) for cell in row]
    titled = [captioned(cell, [name], size=_TEXT) for name, cell in zip(columns, cells, strict=False)]
    return page_of([*titled, *cells[len(titled) :]], gap=_GAP, columns=len(columns))
