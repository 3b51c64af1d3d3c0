"""Images, folders and videos, one image after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import RED, write, write_video
from PIL import Image as Pillow
from refusal import refuses

from hrnet_mm.inference.sources import IMAGE_SUFFIXES, InputImage, Unreadable, Video, find_source
from hrnet_mm.pictures.canvas import picture_name


def test_one_image_is_red_first(tmp_path: Path) -> None:
    write(tmp_path / 'a.png')
    source = find_source(tmp_path / 'a.png')
    (image,) = source
    assert isinstance(image, InputImage)
    assert (image.name, image.pixels.shape, image.frame) == ('a.png', (8, 12, 3), None)
    assert (image.pixels == RED).all()
    assert len(list(source)) == 1, 'once more'


def test_an_image_is_turned_as_its_record_says(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Pillow.new('RGB', (12, 8), RED).save(tmp_path / 'a.jpg', exif=exif)
    (image,) = find_source(tmp_path / 'a.jpg')
    assert isinstance(image, InputImage) and image.pixels.shape == (12, 8, 3)


def test_a_folder_gives_its_images_in_order_with_sub_folders(tmp_path: Path) -> None:
    for name in ('b.jpg', 'a.PNG', 'z/a.jpg', 'c/a.jpg', 'c/deep/a.webp', '.hidden.jpg', '.cache/a.jpg'):
        write(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('not an image')
    source = find_source(tmp_path)
    assert source.names == ('a.PNG', 'b.jpg', 'c/a.jpg', 'c/deep/a.webp', 'z/a.jpg')
    assert [image.name for image in source] == list(source.names)
    assert len(source) == 5
    left_out = find_source(tmp_path, leave_out=[tmp_path / 'c', tmp_path / 'nowhere'])
    assert left_out.names == ('a.PNG', 'b.jpg', 'z/a.jpg')


def test_broken_files_of_a_folder_are_told(tmp_path: Path) -> None:
    write(tmp_path / 'a.jpg')
    (tmp_path / 'b.jpg').write_bytes(b'')
    (tmp_path / 'c.jpg').write_bytes(b'no image at all')
    good, empty, wrong = find_source(tmp_path)
    assert isinstance(good, InputImage)
    assert empty == Unreadable('b.jpg', 'unreadable image: the file is empty')
    assert wrong == Unreadable('c.jpg', 'not an image that LoadImageFromFile reads')


def test_what_cannot_be_read_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty' / 'notes.txt').write_text('')
    refuses(lambda: find_source(tmp_path / 'gone.jpg'), 'SOURCE', 'gone.jpg', 'looked for')
    refuses(lambda: find_source(tmp_path / 'broken.jpg'), 'SOURCE', 'broken.jpg', 'not an image')
    refuses(lambda: find_source(tmp_path / 'broken.mp4'), 'SOURCE', 'broken.mp4', 'a video that OpenCV reads')
    refuses(lambda: find_source(tmp_path / 'empty'), 'SOURCE', 'empty', 'a folder with images')


def test_a_video_gives_its_frames_in_order(tmp_path: Path) -> None:
    write_video(tmp_path / 'clip.mp4', frames=5)
    source = find_source(tmp_path / 'clip.mp4')
    assert isinstance(source, Video) and source.rate == pytest.approx(10.0) and len(source) == 5
    frames = [frame for frame in source if isinstance(frame, InputImage)]
    assert [frame.name for frame in frames] == [f'clip.mp4#{number}' for number in range(5)]
    assert [frame.frame for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [frame.pixels.mean() for frame in frames] == pytest.approx([0, 20, 40, 60, 80], abs=5)


def test_pictures_keep_their_names_where_they_can() -> None:
    names = ('north/a.jpg', 'a.JPEG', 'a.bmp', 'a.bmp.png', 'v1.2.png')
    expected = ['north/a.jpg', 'a.JPEG', 'a.bmp.png', 'a.bmp.png.png', 'v1.2.png']
    assert [picture_name(name) for name in names] == expected


NAMES = st.builds(
    lambda stem, suffixes: ''.join([stem, *suffixes]),
    st.sampled_from(['a', 'b', 'c/a']),
    st.lists(st.sampled_from(IMAGE_SUFFIXES), min_size=1, max_size=4),
)


@given(st.sets(NAMES, max_size=40))
def test_no_two_names_become_one(names: set[str]) -> None:
    assert len({picture_name(name) for name in names}) == len(names)
