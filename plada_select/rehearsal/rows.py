"""Features of pool images, computed when somebody asks for them: a rehearsal looks at a small part of the pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from plada_train import ImageSource, LoadedModel

_SHOWN = 256  # a progress bar for requests of more images than that


class LazyRows:
    """Looks like float32 (N, D): ``rows[indices]`` gives features of these images, and only they are computed.

    Memory: 4 bytes per image of the pool, and the features of those that were asked for.

    Args:
        model: frozen backbone.
        source: N images.
        cache: feature cache folder; None keeps them in memory only.
        name: label of the progress bar.
        progress: show it for large requests.
        options: further arguments of :func:`plada_train.extract_features` (device, threads, batch_size).
    """

    def __init__(
        self,
        model: LoadedModel,
        source: ImageSource,
        cache: Path | str | None,
        name: str = "features",
        *,
        progress: bool = True,
        **options: Any,
    ) -> None:
        self.model, self.source, self.cache, self.name = model, source, cache, name
        self.shape = (len(source), model.feature_dim)
        self._progress, self._options = progress, options
        self._rule = model.preprocess.for_source(source)
        self._place: NDArray[np.int32] = np.full(len(source), -1, np.int32)
        self._values = np.zeros((0, self.shape[1]), np.float32)
        self._status = np.zeros(0, np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Any) -> NDArray[np.float32]:
        chosen = np.arange(len(self))[indices]
        self.want(chosen)
        found: NDArray[np.float32] = self._values[self._place[chosen]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32)

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool (N,): which images were computed so far."""
        return self._place >= 0

    def status(self, indices: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Decoding status uint8 (n,) of the images ``indices``."""
        self.want(indices)
        return self._status[self._place[np.asarray(indices, np.int64)]]

    def want(self, indices: NDArray[np.integer]) -> None:
        """Compute what is missing of ``indices`` in one go."""
        from plada_train import extract_features

        new = np.unique(np.asarray(indices, np.int64))
        new = new[self._place[new] < 0]
        if not new.size:
            return
        found = extract_features(
            self.model,
            self.source,
            new,
            preprocess=self._rule,
            cache=self.cache,
            progress=self._progress and new.size > _SHOWN,
            description=self.name,
            **self._options,
        )
        end = self._count + len(new)
        if end > len(self._values):
            self._grow(end)
        self._values[self._count : end], self._status[self._count : end] = found.values, found.status
        self._place[new] = np.arange(self._count, end, dtype=np.int32)
        self._count = end

    def _grow(self, least: int) -> None:
        """Room for ``least`` rows, and by half more than before: many small requests then copy little."""
        more = max(least, min(len(self), len(self._values) * 3 // 2)) - len(self._values)
        self._values = np.concatenate([self._values, np.zeros((more, self.shape[1]), np.float32)])
        self._status = np.concatenate([self._status, np.zeros(more, np.uint8)])
