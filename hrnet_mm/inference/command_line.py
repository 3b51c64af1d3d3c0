"""What ``tools/infer.py`` and ``tools/infer_all.py`` share."""

from __future__ import annotations

import argparse
import sys

from .settings import Outcome, Settings


def add_source(parser: argparse.ArgumentParser) -> None:
    """The images to look at."""
    parser.add_argument(
        'source',
        metavar='SOURCE',
        help='an image, a video, or a folder: every image in it and its sub-folders, in the order of names',
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """How to look, and what to write."""
    parser.add_argument(
        '--out-dir',
        metavar='DIR',
        help='folder for pictures/ and labels/ (default: predictions, or with --json none)',
    )
    parser.add_argument('--json', metavar='FILE.json', help='write everything found there')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU where there is one)')
    parser.add_argument(
        '--batch',
        metavar='N',
        type=int,
        default=1,
        help='images that go through a network at a time, or 8 N people in top-down pose (default: 1)',
    )
    parser.add_argument(
        '--fast', action='store_true', help='use the inference form: the same results, sooner'
    )
    parser.add_argument(
        '--score-thr',
        metavar='S',
        type=float,
        default=0.3,
        help="draw boxes and keypoints, and look for people in a detector's boxes, from this score on "
        '(default: 0.3); --json holds all',
    )


def add_boxes(parser: argparse.ArgumentParser) -> None:
    """Where top-down pose looks."""
    parser.add_argument(
        '--boxes',
        metavar='FILE.json',
        help='people for top-down pose, in pixels: {"image name": [[x1, y1, x2, y2], ...]}, images named by '
        'their path in the folder; a video by its name, or one frame as "clip.mp4#12"',
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The parsed settings."""
    return Settings(
        out_dir=args.out_dir,
        json=args.json,
        device=args.device,
        batch=args.batch,
        fast=args.fast,
        least_score=args.score_thr,
        layout=getattr(args, 'layout', 'overlay'),
    )


def tell(outcome: Outcome) -> None:
    """Print the outcome; images that could not be read make the exit code 1."""
    print(outcome)
    if outcome.skipped:
        sys.exit(1)
