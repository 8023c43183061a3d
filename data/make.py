"""Cut the demo's two files out of larger packed files (see README.md): ``python data/make.py SOURCE_FOLDER``.

SOURCE_FOLDER holds ``tin64_shard0.npz`` (Tiny-ImageNet, original JPEG bytes, shuffled) and
``cifar10_12k_webp_lossless.npz`` (CIFAR-10, lossless WebP), anywhere below it. No image is decoded: the bytes are
copied. The same input gives the same files, byte for byte; SHA256SUMS says which.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
POOL_IMAGES = 10_000
TRAIN_PER_CLASS = 500
MAX_BYTES = 30_000_000


def find(folder: Path, name: str) -> Path:
    """The one file of that name below ``folder``."""
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise SystemExit(f"{folder}: {len(found)} files named {name}; need exactly one")
    return found[0]


def cut(arrays: Any, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The encoded images ``chosen`` of a packed file, in that order."""
    data, offsets = arrays["data"], arrays["offsets"].astype(np.int64)
    parts = [data[offsets[place] : offsets[place + 1]] for place in chosen]
    return {
        "data": np.concatenate(parts),
        "offsets": np.cumsum([0] + [len(part) for part in parts]).astype(np.uint32),
    }


def demo_rows(labels: NDArray[np.integer], split: NDArray[np.integer]) -> NDArray[np.int64]:
    """The first training images of each class, and all test images, in the order of the file."""
    rows = [np.flatnonzero((labels == label) & (split == 0))[:TRAIN_PER_CLASS] for label in np.unique(labels)]
    return np.sort(np.concatenate([*rows, np.flatnonzero(split == 1)]))


def write_npz(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """A compressed npz without anything that changes from run to run."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)


def main(folder: Path) -> None:
    """Write both files and their digests."""
    with np.load(find(folder, "tin64_shard0.npz")) as arrays:
        write_npz(HERE / "pool_10k.npz", cut(arrays, np.arange(POOL_IMAGES)))
    with np.load(find(folder, "cifar10_12k_webp_lossless.npz")) as arrays:
        rows = demo_rows(arrays["labels"], arrays["split"])
        extra = {name: arrays[name][rows] for name in ("labels", "split")} | {"names": arrays["names"]}
        write_npz(HERE / "cifar10_7k.npz", cut(arrays, rows) | extra)
    files = [HERE / "cifar10_7k.npz", HERE / "pool_10k.npz"]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (HERE / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    total = sum(path.stat().st_size for path in files)
    print("".join(lines) + f"{total:,} bytes in all")
    if total > MAX_BYTES:
        raise SystemExit(f"more than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
