"""What the commands of :mod:`plada_train.commands` do."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from . import models, pool

HANDLERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "pool-build": pool.build,
    "pool-info": pool.info,
    "pool-verify": pool.verify,
    "train": models.train,
    "evaluate": models.evaluate,
    "export": models.export,
}
