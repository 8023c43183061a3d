"""Read, decode and batch images while the model computes. Order and content of the batches never depend on timing."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .decode import Status
from .preprocess import Preprocess, square
from .sources import ImageSource

if TYPE_CHECKING:
    import torch


@dataclass
class Batch:
    """b images, perhaps padded to B rows.

    Attributes:
        indices: int64 (b,), positions in the source.
        images: uint8 tensor (B, S, S, 3); zeros where unusable, in padding rows, and in the rows of ``odd``.
        status: uint8 (b,), see :class:`plada_train.decode.Status`.
        digests: uint8 (b, 32), SHA-256 of each encoded file (zeros if unreadable), or None.
        seconds: time spent on reading and decoding.
        odd: row -> uint8 tensor (I, I, 3) of the images that had not the size of the others, already of the input size.
    """

    indices: NDArray[np.int64]
    images: torch.Tensor
    status: NDArray[np.uint8]
    digests: NDArray[np.uint8] | None
    seconds: float
    odd: dict[int, torch.Tensor] = field(default_factory=dict)


class BatchLoader:
    """Iterates over :class:`Batch`, in the order of ``indices``.

    Args:
        source: the images.
        indices: positions, int64 (n,); None means all. A slice of rising positions is read fastest.
        preprocess: gives the size of the stored squares.
        batch_size: rows per batch.
        threads: decoding threads; by default the number of usable cores. Pillow decodes outside the interpreter lock.
        workers: decoding processes instead of threads (many cores, fast GPU). 0 means threads.
        pad_last: fill the last batch up to ``batch_size`` rows, so that all shapes, and with them the numerics, agree.
        digests: hash the encoded files as well.
        prefetch: batches prepared ahead.
        max_pixels: limit of decode.py.
    """

    def __init__(
        self,
        source: ImageSource,
        indices: NDArray[np.int64] | None,
        preprocess: Preprocess,
        *,
        batch_size: int = 64,
        threads: int | None = None,
        workers: int = 0,
        pad_last: bool = False,
        digests: bool = False,
        prefetch: int = 4,
        max_pixels: int | None = None,
    ) -> None:
        from .decode import MAX_PIXELS

        self.source = source
        self.indices = np.arange(len(source), dtype=np.int64) if indices is None else np.asarray(indices, np.int64)
        self.preprocess = preprocess
        self.batch_size = max(1, batch_size)
        self.threads = threads or usable_cores()
        self.workers = workers
        self.pad_last = pad_last
        self.digests = digests
        self.prefetch = max(1, prefetch)
        self.max_pixels = max_pixels or MAX_PIXELS
        self.seconds_waited = 0.0
        self.seconds_loading = 0.0

    def __len__(self) -> int:
        return (len(self.indices) + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        batches = self._in_processes() if self.workers else self._in_threads()
        started = time.perf_counter()
        for batch in batches:
            self.seconds_waited += time.perf_counter() - started
            self.seconds_loading += batch.seconds
            yield batch
            started = time.perf_counter()

    def _parts(self) -> list[NDArray[np.int64]]:
        return [self.indices[start : start + self.batch_size] for start in range(0, len(self.indices), self.batch_size)]

    def _in_threads(self) -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="plada-decode") as pool:
            try:
                for part in self._parts():
                    waiting.append(pool.submit(self.load, part))
                    if len(waiting) >= self.prefetch + self.threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _in_processes(self) -> Iterator[Batch]:
        from torch.utils.data import DataLoader

        loader: DataLoader[Batch] = DataLoader(
            _Parts(self, self._parts()),  # type: ignore[arg-type]
            batch_size=None,
            shuffle=False,
            num_workers=self.workers,
            prefetch_factor=self.prefetch,
            worker_init_fn=_one_thread,
        )
        yield from loader

    def load(self, part: NDArray[np.int64]) -> Batch:
        """Read and decode the images at ``part``, in this thread."""
        import torch

        started = time.perf_counter()
        size = self.preprocess.stored_size
        rows = self.batch_size if self.pad_last else len(part)
        pixels = np.zeros((rows, size, size, 3), np.uint8)
        status = np.zeros(len(part), np.uint8)
        odd: dict[int, torch.Tensor] = {}
        digests = np.zeros((len(part), 32), np.uint8) if self.digests else None
        for row, index in enumerate(part.tolist()):
            try:
                data = self.source.read(index)
            except OSError:
                status[row] = Status.UNREADABLE
                continue
            if digests is not None:
                digests[row] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
            image, status[row] = square(data, self.preprocess, max_pixels=self.max_pixels)
            if image is not None and len(image) == size:
                pixels[row] = image
            elif image is not None:
                odd[row] = torch.from_numpy(image.copy())
        return Batch(part, torch.from_numpy(pixels), status, digests, time.perf_counter() - started, odd)


class _Parts:
    """The batches of a loader as a map-style dataset for torch's worker processes."""

    def __init__(self, loader: BatchLoader, parts: list[NDArray[np.int64]]) -> None:
        self.loader = loader
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int) -> Batch:
        return self.loader.load(self.parts[place])


def _one_thread(_: int) -> None:
    import torch

    torch.set_num_threads(1)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress_bar(total: int, description: str, *, show: bool = True, unit: str = "img", done: int = 0) -> Any:
    """A tqdm bar on stderr; silent if ``show`` is false."""
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    return tqdm(
        total=total, desc=description, unit=unit, initial=done, disable=not show, smoothing=0.1, mininterval=0.5
    )
