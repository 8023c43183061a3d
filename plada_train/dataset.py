"""A payload joined with the client's images: a PyTorch dataset, and what the training functions want."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.errors import ErrorCode, UserError, error
from plada_format.manifest.joining import check_pool

from .decode import Status, decode_pil
from .pool import PoolReport, resolve_keys, verify_pool
from .sources import ImageSource, LabelledImages, SubsetSource, open_source
from .targets import Targets

if TYPE_CHECKING:
    from PIL import Image

PRECISION_KEY = "dirichlet_precision"
Transform = Callable[["Image.Image"], Any]


class PayloadDataset:
    """The virtual dataset that a payload stands for: item i is ``(image, label)`` or ``(image, label, weight)``.

    A map-style dataset for ``torch.utils.data.DataLoader`` (and, unchanged, a random-access source for grain). Before
    anything else the payload is checked against the manifest, and the kept images against their SHA-256.

    Args:
        payload: a decoded payload, its bytes, or a path.
        source: the client's images, or a spec for :func:`plada_train.open_source`.
        manifest: of the pool, or its path.
        transform: applied to the RGB Pillow image; without it the image itself is given.
        return_weight: whether items have a third part.
        missing: ``fail`` or ``drop`` for images that are missing, changed or unreadable.
        check: ``digests``, or ``none`` to trust the source (images are then only looked up by key).
        allow_unidentified: accept a payload without a pool fingerprint if the pool size fits.
        threads: for checking.
        progress: show a bar while checking.

    Attributes:
        images: :class:`LabelledImages`, in payload order.
        indices: int64 (k,), pool index of each item.
        weights: float32 (k,) or None.
        class_names: from the payload, or ``class 0`` and so on.
        report: :class:`plada_train.pool.PoolReport` of the check.

    Raises:
        PladaError: damaged payload or manifest; the payload belongs to another pool (POOL_MISMATCH,
            POOL_SIZE_MISMATCH).
        UserError: images are missing or changed and ``missing`` is ``fail``; nothing is left.
    """

    def __init__(
        self,
        payload: pf.Payload | bytes | Path | str,
        source: ImageSource | str,
        manifest: pf.Manifest | Path | str,
        *,
        transform: Transform | None = None,
        return_weight: bool = False,
        missing: str = "fail",
        check: str = "digests",
        allow_unidentified: bool = False,
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        if missing not in ("fail", "drop") or check not in ("digests", "none"):
            raise UserError(f"missing must be fail or drop, check digests or none, not {missing!r} and {check!r}")
        opened = manifest if isinstance(manifest, pf.Manifest) else pf.Manifest.open(manifest)
        try:
            self.payload = _decoded(payload, opened, allow_unidentified)
            found = open_source(source) if isinstance(source, str) else source
            self._join(found, opened, missing, check, threads, progress)
        finally:
            if opened is not manifest:
                opened.close()
        self.transform = transform
        self.return_weight = return_weight

    def _join(
        self,
        source: ImageSource,
        manifest: pf.Manifest,
        missing: str,
        check: str,
        threads: int | None,
        progress: bool,
    ) -> None:
        wanted = self.payload.indices.astype(np.int64)
        positions = resolve_keys(source, manifest, wanted)
        if check == "digests":
            self.report = verify_pool(source, manifest, wanted, threads=threads, progress=progress)
        else:
            self.report = PoolReport(len(wanted), missing=wanted[positions < 0])
        good = ~np.isin(wanted, self.report.bad)
        if not good.all() and missing == "fail":
            first = int(self.report.bad[0])
            raise UserError(
                f"{source.spec} does not fit pool {manifest.name!r}: {self.report.summary()}, the first is image "
                f"{first} ({manifest.key(first)}); repair it, or train without them (--missing drop)"
            )
        if not good.any():
            raise UserError(f"{source.spec}: none of the {len(wanted)} images of the payload can be used")
        self.indices = wanted[good]
        weights = self.payload.weights
        self.weights: NDArray[np.float32] | None = None if weights is None else weights[good].astype(np.float32)
        header = self.payload.header
        self.class_names = self.payload.class_names or tuple(f"class {place}" for place in range(header.num_classes))
        labels = self.payload.labels.astype(np.int64)[good]
        self.images = LabelledImages(SubsetSource(source, positions[good]), labels, tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> tuple[Any, ...]:
        if not -len(self) <= item < len(self):
            raise IndexError(f"no item {item}, there are {len(self)}")
        place = item % len(self)
        image, status = decode_pil(self.images.source.read(place))
        if image is None:
            key = self.images.source.key(place)
            raise UserError(f"image {self.indices[place]} of the pool ({key}) is {Status(status).name.lower()}")
        value = image if self.transform is None else self.transform(image)
        label = int(self.images.labels[place])
        if not self.return_weight:
            return value, label
        return value, label, 1.0 if self.weights is None else float(self.weights[place])

    def __repr__(self) -> str:
        return f"PayloadDataset({len(self)} images, {len(self.class_names)} classes, {self.images.source.spec})"

    def targets(self, mode: str = "hard", *, use_weights: bool = True) -> Targets:
        """Training targets.

        Args:
            mode: ``hard``, ``average`` or ``dirichlet``, see :class:`plada_train.Targets`.
            use_weights: whether the payload's weights count.

        Raises:
            UserError: the payload does not carry what the mode needs.
        """
        return Targets(
            self.images.labels,
            len(self.class_names),
            self.weights if use_weights else None,
            self.payload.soft_labels if mode != "hard" else None,
            self._precision() if mode == "dirichlet" else None,
            mode,
        )

    def _precision(self) -> NDArray[np.float32] | None:
        text = self.payload.metadata.get(PRECISION_KEY)
        if text is None:
            return None
        try:
            return np.asarray(json.loads(text), np.float32)
        except (ValueError, TypeError):
            raise UserError(f"the payload's metadata '{PRECISION_KEY}' is no list of numbers") from None


def _decoded(payload: pf.Payload | bytes | Path | str, manifest: pf.Manifest, allow_unidentified: bool) -> pf.Payload:
    if not isinstance(payload, (bytes, Path, str)):
        check_pool(payload.header, manifest, allow_unidentified=allow_unidentified)
        return payload
    data = payload if isinstance(payload, bytes) else Path(payload).read_bytes()
    header = pf.inspect(data)
    check_pool(header, manifest, allow_unidentified=allow_unidentified)
    decoded = pf.decode(data, pool_size=len(manifest), groups=manifest.group_starts)
    if decoded.indices.size and int(decoded.indices[-1]) >= len(manifest):
        raise error(ErrorCode.INDEX_RANGE, f"index {decoded.indices[-1]} in a pool of {len(manifest)}")
    return decoded
