"""Train a model from a config of mmpose, mmseg, mmdet or mmpretrain."""

from __future__ import annotations

from mmengine.dist import is_main_process

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.training.command_line import parse_arguments, run_parser, run_tool
from hrnet_mm.training.run import run_train


def main() -> None:
    parser = run_parser(
        description=__doc__ or '',
        example='python tools/train.py configs/hrnetv2_w48_cityscapes.py '
        '--data-root data/cityscapes --cfg-options train_dataloader.batch_size=2',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--resume',
        metavar='PATH',
        nargs='?',
        const=True,
        default=False,
        help='continue from a checkpoint (without PATH: from the latest in the work folder)',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the real batch size over the config's base_batch_size",
    )
    parser.add_argument(
        '--tensorboard', action='store_true', help="write TensorBoard's event files beside MMEngine's own log"
    )
    parser.add_argument(
        '--cuda-graph', action='store_true', help='train backbone and neck from CUDA graphs, on a GPU'
    )
    args = parse_arguments(parser)
    cfg = load_config(
        args.config,
        options=parse_options(args.cfg_options),
        work_dir=args.work_dir,
        data_root=args.data_root,
        launcher=args.launcher,
        amp=args.amp,
        resume=args.resume,
        auto_scale_lr=args.auto_scale_lr,
        tensorboard=args.tensorboard,
        cuda_graph=args.cuda_graph,
    )
    last = run_train(cfg)
    if is_main_process():
        print(f'last checkpoint: {last}')


if __name__ == '__main__':
    run_tool(main)
