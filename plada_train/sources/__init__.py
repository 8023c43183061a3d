"""Where images come from: folders, tar shards, Parquet, packed npz; local or remote."""

from __future__ import annotations

from .base import ImageSource, SubsetSource, is_image_name
from .folder import FolderSource
from .packed import PackedSource
from .parquet import ParquetSource
from .spec import open_source, split_spec
from .tar import TarSource
from .task import LabelledImages, Task, open_task, stratified_holdout

__all__ = [
    "FolderSource",
    "ImageSource",
    "LabelledImages",
    "PackedSource",
    "ParquetSource",
    "SubsetSource",
    "TarSource",
    "Task",
    "is_image_name",
    "open_source",
    "open_task",
    "split_spec",
    "stratified_holdout",
]
