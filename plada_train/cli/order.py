"""The order of ``plada pool build``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from ..pool_order import order_by_cluster, order_by_key
from ..sources import ImageSource

if TYPE_CHECKING:
    from ..block_features import BlockFeatures


def ordered(source: ImageSource, args: argparse.Namespace) -> ImageSource:
    """The source in the order that the flags ask for.

    Raises:
        UserError: features that do not fit, or flags that do not go together.
    """
    if args.order != "cluster":
        if args.features is not None:
            raise UserError("pool build: --features is for --order cluster")
        return source if args.order == "source" else order_by_key(source)
    if args.no_groups:
        raise UserError("pool build: --order cluster makes the groups; leave out --no-groups")
    if not len(source):
        raise UserError(f"{source.spec}: no images")
    features: Any = _computed(source, args) if args.features is None else _read(args.features)
    return order_by_cluster(source, features, group_size=args.group_size, seed=args.seed)


def _read(path: str) -> NDArray[np.floating[Any]]:
    """A memory map, so that a file larger than the memory will do."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError) as problem:
        raise UserError(f"{path}: not a readable npy file ({str(problem).splitlines()[0]})") from None
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.dtype.kind != "f":
        raise UserError(f"{path}: features must be one matrix of floating-point numbers, a row for each image")
    return features


def _computed(source: ImageSource, args: argparse.Namespace) -> BlockFeatures:
    """Of a backbone, in files beside the manifest or in ``--cache``."""
    from ..block_features import BlockFeatures
    from ..device import pick_device, set_up_torch
    from ..models import load_model

    set_up_torch()
    model = load_model(args.arch, args.weights, num_classes=0, input_size=args.input_size)
    folder = args.cache or f"{args.manifest}.features"
    features = BlockFeatures(folder, model, source)
    return features.compute(device=pick_device(args.device), threads=args.threads, progress=not args.quiet)
