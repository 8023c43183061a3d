"""Size, times and memory of a pool manifest of ImageNet-21K's size. Writes results.csv beside this file.

    python benchmarks/manifest/run.py [--images 14197087] [--folder /tmp]

Keys look like those of ImageNet-21K ("n01440764/n01440764_10026.JPEG", 21,841 folders of random size, sorted as text);
image digests are random bytes, which is what SHA-256 values are to a compressor. Every step runs in its own process, so
that its peak resident memory is its own. Files are read from the page cache.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import zstandard

from plada_format.manifest import BLOCK_ENTRIES, Manifest, ManifestBuilder, join, merge_manifests

FOLDERS = 21_841


@dataclass(frozen=True)
class Row:
    what: str
    value: float
    unit: str
    note: str = ""


def folder_sizes(images: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Random folder sizes that sum to ``images``: log-normal, median about 500, as ImageNet-21K's are wide."""
    random = np.random.default_rng(0)
    weights = random.lognormal(0.0, 0.7, FOLDERS)
    edges = np.round(np.cumsum(weights) / weights.sum() * images).astype(np.int64)
    edges[-1] = images
    return np.diff(edges, prepend=0)


def entries(images: int, first: int = 0, last: int | None = None) -> Iterator[tuple[list[str], bytes, str]]:
    """Folder by folder: keys, digests (32 bytes each), group; only entries in [first, last)."""
    last = images if last is None else last
    sizes = folder_sizes(images)
    names = np.sort(np.random.default_rng(1).choice(np.arange(1_440_000, 15_100_000), FOLDERS, replace=False))
    ends = np.cumsum(sizes)
    for number in np.flatnonzero((ends > first) & (ends - sizes < last)).tolist():
        random = np.random.default_rng([2, number])
        size, start = int(sizes[number]), int(ends[number] - sizes[number])
        folder = f"n{names[number]:08d}"
        numbers = np.sort(random.choice(60_000, size, replace=False)) if size <= 60_000 else np.arange(size)
        keys = sorted(f"{folder}/{folder}_{image}.JPEG" for image in numbers.tolist())
        digests = random.bytes(32 * size)
        low, high = max(0, first - start), min(size, last - start)
        yield keys[low:high], digests[32 * low : 32 * high], folder


def build(path: str, images: int, first: int = 0, last: int | None = None) -> list[Row]:
    spent = 0.0
    started = time.perf_counter()
    with ManifestBuilder(path, name="simulated-imagenet-21k", overwrite=True) as builder:
        for keys, digests, folder in entries(images, first, last):
            begun = time.perf_counter()
            for place, key in enumerate(keys):
                builder.add(key, digests[32 * place : 32 * place + 32], folder)
            spent += time.perf_counter() - begun
        begun = time.perf_counter()
        builder.finish()
        spent += time.perf_counter() - begun
    whole = time.perf_counter() - started
    return [Row("build", spent, "s", f"one process; {whole:.1f} s with the making of the simulated entries")]


def build_part(task: tuple[str, int, int, int]) -> None:
    build(*task)


def build_sharded(path: str, images: int) -> list[Row]:
    blocks = -(-images // BLOCK_ENTRIES)
    edges = [min(images, BLOCK_ENTRIES * (blocks * shard // 4)) for shard in range(4)] + [images]
    parts = [f"{path}.part{shard}" for shard in range(4)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(build_part, [(parts[shard], images, edges[shard], edges[shard + 1]) for shard in range(4)]))
    begun = time.perf_counter()
    merge_manifests(path + ".merged", parts)
    spent = time.perf_counter() - begun
    with open(path, "rb") as one, open(path + ".merged", "rb") as other:
        same = all(a == b for a, b in zip(iter(lambda: one.read(1 << 20), b""), iter(lambda: other.read(1 << 20), b"")))
    if not same or Path(path).stat().st_size != Path(path + ".merged").stat().st_size:
        raise SystemExit("sharded build differs from the single build")
    for part in [*parts, path + ".merged"]:
        Path(part).unlink()
    return [Row("merge of 4 shards", spent, "s", "all blocks verified; same bytes as the single build")]


def opened(path: str) -> list[Row]:
    begun = time.perf_counter()
    with Manifest.open(path) as manifest:
        spent = time.perf_counter() - begun
        return [Row("open", 1000 * spent, "ms"), Row("open: read", manifest.bytes_read, "bytes")]


def joined(path: str, what: str, indices: np.ndarray[Any, np.dtype[np.uint32]]) -> list[Row]:
    with Manifest.open(path) as manifest:
        header = SimpleNamespace(pool_size=len(manifest), pool_fingerprint=manifest.fingerprint)
        payload = SimpleNamespace(header=header, indices=indices, labels=np.zeros(len(indices), np.uint16))
        begun = time.perf_counter()
        keys, _ = join(payload, manifest)
        spent = time.perf_counter() - begun
        touched = len(np.unique(indices // BLOCK_ENTRIES))
        note = f"{len(keys)} images in {touched} of {manifest.blocks} blocks"
        return [Row(f"join {what}", spent, "s", note), Row(f"join {what}: read", manifest.bytes_read, "bytes")]


def join_spread(path: str) -> list[Row]:
    with Manifest.open(path) as manifest:
        size = len(manifest)
    chosen = np.random.default_rng(3).choice(size, size // 100, replace=False)
    return joined(path, "1 % spread", np.sort(chosen).astype(np.uint32))


def join_cluster(path: str) -> list[Row]:
    with Manifest.open(path) as manifest:
        size = len(manifest)
    return joined(path, "1 % in one run", np.arange(size // 3, size // 3 + size // 100, dtype=np.uint32))


def verify(path: str) -> list[Row]:
    with Manifest.open(path) as manifest:
        begun = time.perf_counter()
        manifest.verify_blocks()
        return [Row("verify all", time.perf_counter() - begun, "s", "every hash, every rule, keys unique")]


def compressors(path: str) -> list[Row]:
    """What the key column would cost, and its decoding, with other compressors (first 20 blocks)."""
    with Manifest.open(path) as manifest:
        texts = [
            b"".join(key + b"\n" for key in manifest.block_content(block)[0])
            for block in range(min(20, manifest.blocks))
        ]
    entries_there = sum(text.count(b"\n") for text in texts)
    rows = []
    pairs: list[tuple[str, Callable[[bytes], bytes], Callable[[bytes], bytes]]] = [
        *(
            (f"zlib {level}", lambda text, level=level: zlib.compress(text, level), zlib.decompress)
            for level in (1, 6, 9)
        ),
        *(
            (f"zstd {level}", zstandard.ZstdCompressor(level=level).compress, zstandard.ZstdDecompressor().decompress)
            for level in (3, 19)
        ),
    ]
    for name, compress, decompress in pairs:
        begun = time.perf_counter()
        packed = [compress(text) for text in texts]
        packing = time.perf_counter() - begun
        begun = time.perf_counter()
        if [decompress(data) for data in packed] != texts:
            raise SystemExit(f"{name} does not give the keys back")
        unpacking = time.perf_counter() - begun
        note = (
            f"compress {1000 * packing / len(texts):.1f} ms, decompress {1000 * unpacking / len(texts):.1f} ms a block"
        )
        rows.append(Row(f"keys with {name}", sum(map(len, packed)) / entries_there, "bytes an image", note))
    return rows


def in_child(step: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    """Run ``step`` in a fresh process; adds its peak resident memory to its rows."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = pool.submit(step, *arguments).result()
        peak = pool.submit(peak_memory).result()
    return [*rows, Row(f"{rows[0].what}: peak memory", peak / 2**20, "MiB", "resident, whole process")]


def peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=14_197_087)
    parser.add_argument("--folder", type=Path, default=None, help="where the manifest lies meanwhile (1.5 GB)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.csv"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = str(Path(folder) / "pool.pladapool")
        rows = in_child(build, path, options.images)
        with Manifest.open(path) as manifest:
            sizes = manifest.column_bytes
        if sizes["digests"] != 32 * options.images:
            raise SystemExit("manifest has another size than asked for")
        rows.append(Row("file", Path(path).stat().st_size / 1e6, "MB", "; ".join(f"{k} {v}" for k, v in sizes.items())))
        for step in (opened, join_spread, join_cluster, verify):
            rows += in_child(step, path)
        rows += in_child(build_sharded, path, options.images)
        rows += compressors(path)
    with options.out.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["what", "value", "unit", "note", "images", "cpu"])
        for row in rows:
            print(f"{row.what:34} {row.value:14,.3f} {row.unit:15} {row.note}")
            table.writerow(
                [
                    row.what,
                    f"{row.value:.6g}" if row.value % 1 else int(row.value),
                    row.unit,
                    row.note,
                    options.images,
                    cpu_name(),
                ]
            )


if __name__ == "__main__":
    main()
