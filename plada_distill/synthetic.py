"""A distilled data set on disk: ``synthetic.safetensors`` (images, labels, all facts in its header) and
``synthetic.json`` (the facts, to read)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .data import MEAN, STD, Images, denormalise, normalise

TENSORS_NAME, FACTS_NAME = "synthetic.safetensors", "synthetic.json"
DTYPES = ("float32", "uint8")
_KIND = "plada synthetic set"
_VERSION = 1


@dataclass(frozen=True)
class SyntheticSet:
    """Images made for training on, with their labels.

    Attributes:
        images: as :class:`plada_distill.data.Images`; the pixels may lie outside of what a picture can show.
        facts: how they came about; JSON values.
    """

    images: Images
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def per_class(self) -> float:
        """Images of each class, on average."""
        return len(self.images) / self.images.num_classes

    def as_pictures(self) -> SyntheticSet:
        """The same set after rounding to 8 bits, which is what a picture file would keep."""
        pixels = normalise(denormalise(self.images.pixels))
        return SyntheticSet(Images(pixels, self.images.labels, self.images.class_names), self.facts)


def save_synthetic(folder: Path | str, synthetic: SyntheticSet, *, dtype: str = "float32") -> Path:
    """Write a set; the folder is made if missing, an older set in it is replaced.

    Args:
        folder: where.
        synthetic: what.
        dtype: ``float32`` keeps every bit; ``uint8`` takes a quarter of the bytes.

    Returns:
        The tensor file.

    Raises:
        UserError: unknown dtype.
        OSError: it cannot be written.
    """
    from safetensors.torch import save

    if dtype not in DTYPES:
        raise UserError(f"a synthetic set is kept as {' or '.join(DTYPES)}, not {dtype!r}")
    images = synthetic.images
    facts = {
        "kind": _KIND,
        "version": _VERSION,
        "dtype": dtype,
        "shape": list(images.pixels.shape),
        "mean": MEAN,
        "std": STD,
        "class_names": list(images.class_names),
        **synthetic.facts,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    pixels = images.pixels.detach().cpu().contiguous()
    stored = pixels if dtype == "float32" else torch.from_numpy(denormalise(pixels))
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with atomic_write(target / TENSORS_NAME) as file:
        file.write(save({"images": stored, "labels": images.labels.cpu().to(torch.int64)}, metadata={"plada": text}))
    with atomic_write(target / FACTS_NAME) as file:
        file.write(text.encode() + b"\n")
    return target / TENSORS_NAME


def load_synthetic(path: Path | str) -> SyntheticSet:
    """Read a set that :func:`save_synthetic` wrote.

    Args:
        path: the folder, or the safetensors file.

    Raises:
        UserError: no set there, damaged, or of a newer version.
    """
    tensors, facts = read_tensors(Path(path), TENSORS_NAME, _KIND, "a synthetic set")
    if facts.get("version") != _VERSION:
        raise UserError(f"{path}: set version {facts.get('version')}; this plada reads {_VERSION}")
    try:
        stored, labels = tensors["images"], tensors["labels"]
        names = tuple(str(name) for name in facts["class_names"])
        floats = stored.dtype == torch.float32
        pixels = stored if floats else normalise(stored.numpy())
        images = Images(pixels, labels, names)
        sound = labels.dtype == torch.int64 and labels.ndim == 1 and len(labels) > 0
        sound = sound and 0 <= int(labels.min()) <= int(labels.max()) < len(names)
    except (KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise UserError(f"{path}: damaged synthetic set ({problem})") from None
    if not sound or not bool(torch.isfinite(pixels).all()):
        raise UserError(f"{path}: damaged synthetic set (labels or pixels out of range)")
    plain = {key: value for key, value in facts.items() if key not in _OWN}
    return SyntheticSet(images, plain)


_OWN = {"kind", "version", "dtype", "shape", "mean", "std", "class_names"}


def read_tensors(
    path: Path, name: str, kind: str, what: str
) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
    """Tensors and facts of a safetensors file of this package.

    Raises:
        UserError: it is missing, damaged, or something else.
    """
    from safetensors import SafetensorError, safe_open

    file_path = path / name if path.is_dir() or path.suffix != ".safetensors" else path
    if not file_path.is_file():
        raise UserError(f"{file_path}: no such file; is this the folder of {what}?")
    try:
        with safe_open(str(file_path), framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("plada", "null"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError) as problem:
        raise UserError(f"{file_path}: damaged ({problem})") from None
    if not isinstance(facts, dict) or facts.get("kind") != kind:
        raise UserError(f"{file_path}: not {what} saved by plada")
    return tensors, facts
