"""Images in, classifiers out: image sources, pools, one training loop for teacher and student, evaluation, dataset
adapters.

Importing this package is cheap; each name below loads its module, and with it torch where that is needed, when first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "sources": (
        "ImageSource",
        "LabelledImages",
        "SubsetSource",
        "Task",
        "open_source",
        "open_task",
    ),
    "decode": ("Status", "decode_image", "status_counts", "usable"),
    "preprocess": ("Normalise", "Preprocess", "auto_source_size"),
    "loader": ("Batch", "BatchLoader"),
    "timm_guard": ("import_timm",),
    "device": ("pick_device", "set_up_torch"),
    "models": ("LoadedModel", "load_model", "model_digest"),
    "features": ("FeatureCache", "Features", "extract_features"),
    "targets": ("Targets", "dirichlet_precision"),
    "loop": ("FitResult", "Recipe", "run_loop"),
    "heads": ("Head", "attach_head", "train_head"),
    "finetune": ("fine_tune",),
    "fit": ("Trained", "fit_classifier", "recipe_for"),
    "checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "onnx_export": ("export_onnx",),
    "evaluation": ("Evaluation", "evaluate", "evaluate_logits", "predict_logits"),
    "pool": ("PoolReport", "build_manifest", "resolve_keys", "verify_pool"),
    "dataset": ("PayloadDataset",),
    "export": ("export_csv", "export_folder", "export_parquet"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # the names are those of the table above

if TYPE_CHECKING:
    from .checkpoint import Checkpoint as Checkpoint
    from .checkpoint import load_checkpoint as load_checkpoint
    from .checkpoint import save_checkpoint as save_checkpoint
    from .dataset import PayloadDataset as PayloadDataset
    from .decode import Status as Status
    from .decode import decode_image as decode_image
    from .decode import status_counts as status_counts
    from .decode import usable as usable
    from .device import pick_device as pick_device
    from .device import set_up_torch as set_up_torch
    from .evaluation import Evaluation as Evaluation
    from .evaluation import evaluate as evaluate
    from .evaluation import evaluate_logits as evaluate_logits
    from .evaluation import predict_logits as predict_logits
    from .export import export_csv as export_csv
    from .export import export_folder as export_folder
    from .export import export_parquet as export_parquet
    from .features import FeatureCache as FeatureCache
    from .features import Features as Features
    from .features import extract_features as extract_features
    from .finetune import fine_tune as fine_tune
    from .fit import Trained as Trained
    from .fit import fit_classifier as fit_classifier
    from .fit import recipe_for as recipe_for
    from .heads import Head as Head
    from .heads import attach_head as attach_head
    from .heads import train_head as train_head
    from .loader import Batch as Batch
    from .loader import BatchLoader as BatchLoader
    from .loop import FitResult as FitResult
    from .loop import Recipe as Recipe
    from .loop import run_loop as run_loop
    from .models import LoadedModel as LoadedModel
    from .models import load_model as load_model
    from .models import model_digest as model_digest
    from .onnx_export import export_onnx as export_onnx
    from .pool import PoolReport as PoolReport
    from .pool import build_manifest as build_manifest
    from .pool import resolve_keys as resolve_keys
    from .pool import verify_pool as verify_pool
    from .preprocess import Normalise as Normalise
    from .preprocess import Preprocess as Preprocess
    from .preprocess import auto_source_size as auto_source_size
    from .sources import ImageSource as ImageSource
    from .sources import LabelledImages as LabelledImages
    from .sources import SubsetSource as SubsetSource
    from .sources import Task as Task
    from .sources import open_source as open_source
    from .sources import open_task as open_task
    from .targets import Targets as Targets
    from .targets import dirichlet_precision as dirichlet_precision
    from .timm_guard import import_timm as import_timm


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
