"""Features of a whole pool in files of 65,536 images: more than fits into memory, and resumable."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .models import LoadedModel, model_digest
from .sources import ImageSource

if TYPE_CHECKING:
    import torch

ROWS = 65_536
_LARGEST = float(np.finfo(np.float16).max)


class BlockFeatures:
    """Looks like a matrix (N, D): a slice or an array of positions gives float32 rows, read from the disk.

    Disk: 2 bytes a number (half precision: what the features are for is rougher than that). Memory: one block.

    Args:
        folder: of the files; made if missing. Files of another source or backbone lie in another subfolder.
        model: its classifier plays no part.
        source: N images, at least one.
        rows: images in a file; leave it, except in tests.
    """

    ndim = 2

    def __init__(self, folder: Path | str, model: LoadedModel, source: ImageSource, *, rows: int = ROWS) -> None:
        if not len(source):
            raise UserError(f"{source.spec}: no images")
        self.model, self.source, self.rows = model, source, rows
        self.shape = (len(source), model.feature_dim)
        rule = model.preprocess.for_source(source)
        places = sorted({place * (len(source) - 1) // 100 for place in range(101)})
        keys = [source.key(place) for place in places]
        mark = f"1\0{source.spec}\0{len(source)}\0{keys}\0{model_digest(model.module)}\0{rule.digest()}\0{rows}"
        self.folder = Path(folder) / f"pool-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
        self._open: tuple[int, NDArray[np.float16]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def path(self, number: int) -> Path:
        """File of a block."""
        return self.folder / f"block-{number:06d}.npy"

    def compute(
        self, *, device: torch.device | str = "cpu", threads: int | None = None, progress: bool = True
    ) -> BlockFeatures:
        """Run the backbone over the blocks that have no file yet; returns itself."""
        from .features import extract_features

        self.folder.mkdir(parents=True, exist_ok=True)
        blocks = -(-len(self) // self.rows)
        for number in range(blocks):
            if self.path(number).exists():
                continue
            chosen = np.arange(number * self.rows, min(len(self), (number + 1) * self.rows))
            found = extract_features(
                self.model, self.source, chosen, device=device, threads=threads, progress=progress,
                description=f"features, part {number + 1} of {blocks}",
            )  # fmt: skip
            with atomic_write(self.path(number)) as file:
                np.save(file, np.clip(found.values, -_LARGEST, _LARGEST).astype(np.float16))
        return self

    def __getitem__(self, key: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        places = np.arange(len(self))[key] if isinstance(key, slice) else np.asarray(key, np.int64)
        out = np.empty((len(places), self.shape[1]), np.float32)
        block = places // self.rows
        for number in np.unique(block).tolist():
            here = block == number
            out[here] = self._block(number)[places[here] - number * self.rows]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32)

    def _block(self, number: int) -> NDArray[np.float16]:
        if self._open is None or self._open[0] != number:
            path = self.path(number)
            try:
                found = np.load(path, mmap_mode="r", allow_pickle=False)
            except (ValueError, EOFError):
                raise UserError(f"{path}: damaged; remove it and build again") from None
            if found.shape != (min(self.rows, len(self) - number * self.rows), self.shape[1]):
                raise UserError(f"{path}: features of another size; remove it and build again")
            self._open = number, found
        return self._open[1]
