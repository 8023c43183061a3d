"""Features of pool images, computed when somebody asks for them: most baselines look at a small part of the pool."""

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

    Args:
        model: frozen backbone.
        source: N images.
        cache: feature cache folder.
        name: label of the progress bar.
    """

    def __init__(self, model: LoadedModel, source: ImageSource, cache: Path | str, name: str = "features") -> None:
        self.model, self.source, self.cache, self.name = model, source, cache, name
        self.shape = (len(source), model.feature_dim)
        self._rule = model.preprocess.for_source(source)
        self._known: NDArray[np.bool_] = np.zeros(len(source), bool)
        self._values = np.zeros(self.shape, np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Any) -> NDArray[np.float32]:
        chosen = np.arange(len(self))[indices]
        self.want(chosen)
        return self._values[chosen]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32)

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool (N,): which images were computed so far."""
        return self._known.copy()

    def want(self, indices: NDArray[np.integer]) -> None:
        """Compute what is missing of ``indices`` in one go."""
        from plada_train import extract_features

        new = np.unique(np.asarray(indices, np.int64))
        new = new[~self._known[new]]
        if not new.size:
            return
        found = extract_features(
            self.model,
            self.source,
            new,
            preprocess=self._rule,
            cache=self.cache,
            progress=new.size > _SHOWN,
            description=self.name,
        )
        self._values[new], self._known[new] = found.values, True
