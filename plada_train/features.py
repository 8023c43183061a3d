"""What a frozen backbone says about images, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .decode import Status
from .loader import Batch, BatchLoader, progress_bar
from .models import LoadedModel, classifier_name, features_of, model_digest
from .preprocess import Normalise, Preprocess
from .sources import ImageSource

if TYPE_CHECKING:
    import torch

_IMAGES_PER_FILE = 1024


@dataclass(frozen=True)
class Features:
    """Features of n images.

    Attributes:
        values: float32 (n, D); zeros where the image is unusable.
        status: uint8 (n,).
        indices: int64 (n,), positions in the source.
        images_per_second: of the computed part, 0 if all was cached.
        cached: how many came from the cache.
    """

    values: NDArray[np.float32]
    status: NDArray[np.uint8]
    indices: NDArray[np.int64]
    images_per_second: float = 0.0
    cached: int = 0

    def __len__(self) -> int:
        return len(self.indices)

    def rows(self, positions: NDArray[np.integer]) -> Features:
        """The rows at ``positions``."""
        return Features(self.values[positions], self.status[positions], self.indices[positions])


def extract_features(
    model: LoadedModel,
    source: ImageSource,
    indices: NDArray[np.int64] | None = None,
    *,
    preprocess: Preprocess | None = None,
    cache: Path | str | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    workers: int = 0,
    progress: bool = True,
    description: str = "features",
) -> Features:
    """Run the backbone of ``model`` over images.

    With ``cache`` each image is looked up by the SHA-256 of its bytes, so that a request that overlaps an earlier
    one, from
    whatever source, only computes the rest, and a killed run continues. Batches are always full (padded), so that an
    image's features do not depend on which others are asked for.

    Args:
        model: its classifier plays no part.
        source: images.
        indices: positions, int64 (n,); None means all.
        preprocess: by default that of the model, with the ``source_size`` that suits the source.
        cache: folder; made if missing.
        batch_size: images per forward pass.
        device: where to run.
        threads, workers: see :class:`plada_train.loader.BatchLoader`.
        progress: show a bar.
        description: its label.

    Raises:
        OSError: the cache cannot be written.
    """
    import torch

    rule = preprocess or model.preprocess.for_source(source)
    chosen = np.arange(len(source), dtype=np.int64) if indices is None else np.asarray(indices, np.int64)
    store = None if cache is None else FeatureCache(cache, model, rule, torch.device(device).type, batch_size)
    values = np.zeros((len(chosen), model.feature_dim), np.float32)
    status = np.zeros(len(chosen), np.uint8)
    todo = np.arange(len(chosen)) if store is None else store.fill(source, chosen, values, status, threads)
    run = _Run(model, rule, torch.device(device))
    started = time.perf_counter()
    bar = progress_bar(len(chosen), description, show=progress, done=len(chosen) - len(todo))
    with bar:
        for start in range(0, len(todo), _IMAGES_PER_FILE):
            part = todo[start : start + _IMAGES_PER_FILE]
            loader = BatchLoader(
                source,
                chosen[part],
                rule,
                batch_size=batch_size,
                threads=threads,
                workers=workers,
                pad_last=True,
                digests=store is not None,
            )
            digests: list[NDArray[np.uint8]] = []
            place = start
            for batch in loader:
                rows = todo[place : place + len(batch.indices)]
                values[rows] = run(batch)
                status[rows] = batch.status
                if batch.digests is not None:
                    digests.append(batch.digests)
                place += len(batch.indices)
                bar.update(len(rows))
            if store is not None:
                store.add(np.concatenate(digests), values[part], status[part])
    seconds = time.perf_counter() - started
    rate = len(todo) / seconds if len(todo) else 0.0
    return Features(values, status, chosen, rate, len(chosen) - len(todo))


class _Run:
    """Batch -> features of its real rows."""

    def __init__(self, model: LoadedModel, rule: Preprocess, device: torch.device) -> None:
        import torch

        self.module = model.module.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.normalise = Normalise(rule, device)

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            found = features_of(self.module, self.normalise(batch))[: len(batch.indices)]
        values: NDArray[np.float32] = found.float().cpu().numpy()
        values[batch.status >= Status.UNREADABLE] = 0
        return values


class FeatureCache:
    """A folder of files, each with up to 1,024 images' digests, features and status; one subfolder per model and
    input rule.

    Files are written whole or not at all, and never changed; several processes may write at once.
    """

    def __init__(self, folder: Path | str, model: LoadedModel, rule: Preprocess, device: str, batch_size: int) -> None:
        backbone = model_digest(model.module, without=classifier_name(model.module))
        mark = f"1\0{model.arch}\0{backbone}\0{rule.digest()}\0{device}\0{batch_size}"
        self.dim = model.feature_dim
        self.folder = Path(folder) / f"{model.arch}-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._where: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self._index(path)

    def __len__(self) -> int:
        return len(self._where)

    def fill(
        self,
        source: ImageSource,
        chosen: NDArray[np.int64],
        values: NDArray[np.float32],
        status: NDArray[np.uint8],
        threads: int | None = None,
    ) -> NDArray[np.int64]:
        """Write what is known into ``values`` and ``status``; return the rows that are not."""
        if not self._where:
            return np.arange(len(chosen))
        from concurrent.futures import ThreadPoolExecutor

        def look(index: int) -> tuple[Path, int] | None:
            try:
                return self._where.get(source.image_digest(index))
            except OSError:
                return None

        with ThreadPoolExecutor(threads or 2) as pool:
            places = list(pool.map(look, chosen.tolist(), chunksize=256))
        by_file: dict[Path, list[tuple[int, int]]] = {}
        for row, place in enumerate(places):
            if place is not None:
                by_file.setdefault(place[0], []).append((row, place[1]))
        for path, pairs in by_file.items():
            stored = _read(path)
            rows, stored_rows = (np.array(column) for column in zip(*pairs))
            values[rows] = stored["features"][stored_rows]
            status[rows] = stored["status"][stored_rows]
        return np.array([row for row, place in enumerate(places) if place is None], np.int64)

    def add(self, digests: NDArray[np.uint8], values: NDArray[np.float32], status: NDArray[np.uint8]) -> None:
        """Keep the features of images; unreadable ones are left out."""
        from safetensors.numpy import save

        keep = status != Status.UNREADABLE
        if not keep.any():
            return
        arrays = {
            "digests": np.ascontiguousarray(digests[keep]),
            "features": np.ascontiguousarray(values[keep]),
            "status": np.ascontiguousarray(status[keep]),
        }
        path = self.folder / f"{hashlib.sha256(arrays['digests'].tobytes()).hexdigest()[:24]}.safetensors"
        if not path.exists():
            with atomic_write(path) as file:
                file.write(save(arrays))
        self._index(path)

    def _index(self, path: Path) -> None:
        stored = _read(path)
        if stored["features"].shape[1:] != (self.dim,):
            raise UserError(f"{path}: features of another length; remove the file")
        for row, digest in enumerate(stored["digests"]):
            self._where.setdefault(digest.tobytes(), (path, row))


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(path.read_bytes())
        shape = stored["features"].shape
        if stored["digests"].shape != (shape[0], 32) or stored["status"].shape != shape[:1]:
            raise KeyError("shapes")
    except (SafetensorError, KeyError) as problem:
        raise UserError(f"{path}: damaged feature cache file ({problem}); remove it") from None
    return stored
