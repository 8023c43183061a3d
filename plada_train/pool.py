"""Pools: hash an image source into a manifest, and compare a source with a manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_format.errors import UserError
from plada_format.manifest import BLOCK_ENTRIES, merge_manifests

from .decode import Status, decode_image, status_counts
from .loader import progress_bar, usable_cores
from .sources import ImageSource

_SLICE = 256  # images per task of a thread


def build_manifest(
    source: ImageSource,
    path: Path | str,
    *,
    name: str,
    groups: bool = True,
    overwrite: bool = False,
    threads: int | None = None,
    decode: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Hash all images of ``source`` and write the manifest of the pool.

    Works in parts of 65,536 images that lie in ``<path>.parts`` until all are done; a killed build goes on with the
    first
    missing part.

    Args:
        source: the pool, in the order that becomes the protocol.
        path: of the manifest.
        name: of the pool, for people.
        groups: record the groups of a source that has them.
        overwrite: replace an existing manifest.
        threads: that read and hash; by default the number of usable cores.
        decode: also decode every image and count what came of it.
        progress: show a bar.

    Returns:
        ``fingerprint`` (hex), ``count``, ``bytes`` (total size of the images), ``status`` (counts, if decoded).

    Raises:
        UserError: the file exists; no images; an image cannot be read.
        OSError: the manifest cannot be written.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists; use --force to replace it")
    if not len(source):
        raise UserError(f"{source.spec}: no images")
    parts = _Parts(target, source, name, groups and source.has_groups, decode)
    facts: list[dict[str, Any]] = []
    with progress_bar(len(source), "hash", show=progress) as bar:
        for number in range(parts.count):
            found = parts.done(number)
            if found is None:
                found = parts.build(number, threads or usable_cores(), bar)
            else:
                bar.update(parts.span(number)[1] - parts.span(number)[0])
            facts.append(found)
    fingerprint = merge_manifests(target, [parts.path(number) for number in range(parts.count)], overwrite=overwrite)
    shutil.rmtree(parts.folder)
    status: dict[str, int] = {}
    for fact in facts:
        for kind, count in fact.get("status", {}).items():
            status[kind] = status.get(kind, 0) + count
    return {
        "fingerprint": fingerprint.hex(),
        "count": len(source),
        "bytes": sum(fact["bytes"] for fact in facts),
        "status": status,
    }


class _Parts:
    """Manifests of ranges of the pool, each with a small json of facts written after it: the mark that it is whole."""

    def __init__(self, target: Path, source: ImageSource, name: str, groups: bool, decode: bool) -> None:
        self.folder = target.with_name(target.name + ".parts")
        self.source, self.name, self.groups, self.decode = source, name, groups, decode
        self._marks: dict[int, str] = {}
        self.count = (len(source) + BLOCK_ENTRIES - 1) // BLOCK_ENTRIES
        self.settings = json.dumps([source.spec, len(source), name, groups, decode])
        self.folder.mkdir(parents=True, exist_ok=True)

    def span(self, number: int) -> tuple[int, int]:
        return number * BLOCK_ENTRIES, min((number + 1) * BLOCK_ENTRIES, len(self.source))

    def path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.pladapool"

    def done(self, number: int) -> dict[str, Any] | None:
        facts = self.path(number).with_suffix(".json")
        try:
            found = json.loads(facts.read_text())
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and found.get("mark") == self.mark(number) and self.path(number).is_file()
        return found if whole else None

    def mark(self, number: int) -> str:
        """Of settings, keys and groups: parts of another source, or of this one when it had other files, are made
        anew."""
        if number not in self._marks:
            total = hashlib.sha256(self.settings.encode())
            for index in range(*self.span(number)):
                total.update(f"{self.source.key(index)}\0{self.source.group(index) if self.groups else ''}\n".encode())
            self._marks[number] = total.hexdigest()
        return self._marks[number]

    def _reason(self, index: int) -> str:
        try:
            self.source.read(index)
        except OSError as problem:
            return problem.strerror or str(problem)
        return "but now it can: run it again"

    def build(self, number: int, threads: int, bar: Any) -> dict[str, Any]:
        start, end = self.span(number)
        total = 0
        statuses: list[NDArray[np.uint8]] = []
        with pf.ManifestBuilder(self.path(number), name=self.name, overwrite=True) as builder:
            for first, digests, sizes, status in _hashed(self.source, start, end, threads, self.decode):
                for row, digest in enumerate(digests):
                    index = first + row
                    if digest is None:
                        raise UserError(
                            f"{self.source.spec}: image {index} ({self.source.key(index)}) cannot be read"
                            f" ({self._reason(index)}); repair or remove it"
                        )
                    builder.add(self.source.key(index), digest, self.source.group(index) if self.groups else None)
                total += sizes
                statuses.append(status)
                bar.update(len(digests))
        facts: dict[str, Any] = {"mark": self.mark(number), "bytes": total}
        if self.decode:
            facts["status"] = status_counts(np.concatenate(statuses))
        with atomic_write(self.path(number).with_suffix(".json")) as file:
            file.write(json.dumps(facts).encode())
        return facts


def _hashed(
    source: ImageSource, start: int, end: int, threads: int, decode: bool
) -> Iterator[tuple[int, list[bytes | None], int, NDArray[np.uint8]]]:
    """(first index, digests (None: unreadable), bytes, statuses) of slices, in order."""

    def work(first: int) -> tuple[int, list[bytes | None], int, NDArray[np.uint8]]:
        indices = range(first, min(first + _SLICE, end))
        found, status = _digest_all(source, list(indices), decode)
        return first, [digest for digest, _ in found], sum(size for _, size in found), status

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, range(start, end, _SLICE))


def _digest_all(
    source: ImageSource, indices: list[int], decode: bool
) -> tuple[list[tuple[bytes | None, int]], NDArray[np.uint8]]:
    found: list[tuple[bytes | None, int]] = []
    status = np.zeros(len(indices), np.uint8)
    for row, index in enumerate(indices):
        try:
            data = source.read(index)
        except OSError:
            found.append((None, 0))
            status[row] = Status.UNREADABLE
            continue
        found.append((hashlib.sha256(data).digest(), len(data)))
        if decode:
            status[row] = decode_image(data)[1]
    return found, status


@dataclass
class PoolReport:
    """What a comparison of a source with a manifest found. Positions are pool indices (of the manifest).

    Attributes:
        checked: number of images compared.
        missing: int64, the source has no image of that key.
        changed: int64, it has, with other bytes.
        unreadable: int64, it has, and it cannot be read.
        by_position: the source's keys are all different, and images were compared by position (a renamed packed file).
        status: counts of decoding statuses, if asked for.
    """

    checked: int = 0
    missing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    changed: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    unreadable: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    by_position: bool = False
    status: dict[str, int] = field(default_factory=dict)

    @property
    def bad(self) -> NDArray[np.int64]:
        """All pool indices that cannot be used, rising."""
        return np.unique(np.concatenate([self.missing, self.changed, self.unreadable]))

    @property
    def ok(self) -> bool:
        return not self.bad.size

    def summary(self) -> str:
        """One line."""
        if self.ok:
            return f"{self.checked} images checked, all as the manifest says"
        parts = (("missing", self.missing), ("changed", self.changed), ("unreadable", self.unreadable))
        found = ", ".join(f"{len(indices)} {word}" for word, indices in parts if len(indices))
        return f"{found} of {self.checked} images checked"

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def resolve_keys(source: ImageSource, manifest: pf.Manifest, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the source keeps the pool's images.

    By key. Only if the source has none of the keys at all, and as many images as the pool, by position: packed files
    carry
    their file name in the key, and files get renamed. The digests decide whether that was right.

    Args:
        source: the client's images.
        manifest: of the pool.
        indices: pool indices, int64 (n,).

    Returns:
        Positions in ``source``, int64 (n,), -1 for a missing image.
    """
    return _resolve(source, manifest, np.asarray(indices, np.int64))[0]


def _resolve(source: ImageSource, manifest: pf.Manifest, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
    positions = np.full(len(indices), -1, np.int64)
    elsewhere: list[int] = []
    keys: list[str] = []
    for start in range(0, len(indices), BLOCK_ENTRIES):
        part = indices[start : start + BLOCK_ENTRIES]
        for row, (index, key) in enumerate(zip(part.tolist(), manifest.keys(part)), start):
            if index < len(source) and source.key(index) == key:
                positions[row] = index
            else:
                elsewhere.append(row)
                keys.append(key)
    if not elsewhere:
        return positions, False
    rows = np.array(elsewhere)
    positions[rows] = source.find(keys)
    if (positions < 0).all() and len(source) == len(manifest):
        return indices.copy(), True
    return positions, False


def verify_pool(
    source: ImageSource,
    manifest: pf.Manifest,
    indices: NDArray[np.integer] | None = None,
    *,
    threads: int | None = None,
    decode: bool = False,
    progress: bool = True,
    state_file: Path | None = None,
) -> PoolReport:
    """Compare images with the SHA-256 that the manifest has of them.

    Args:
        source: the client's images.
        manifest: of the pool.
        indices: pool indices, rising; None compares all.
        threads: that read and hash; by default the number of usable cores.
        decode: also decode, and count what came of it.
        progress: show a bar.
        state_file: if given, keeps what is done after every 65,536 images; a killed run goes on from there. Removed
            at the end.

    Raises:
        PladaError: the manifest is damaged.
    """
    chosen = np.arange(len(manifest), dtype=np.int64) if indices is None else np.asarray(indices, np.int64)
    positions, by_position = _resolve(source, manifest, chosen)
    text = f"{manifest.root.hex()} {source.spec} {len(source)} {decode} {hashlib.sha256(chosen.tobytes()).hexdigest()}"
    state = _VerifyState(state_file, hashlib.sha256(text.encode()).hexdigest())
    start, bad, status = state.load()
    with (
        progress_bar(len(chosen), "verify", show=progress, done=start) as bar,
        ThreadPoolExecutor(threads or usable_cores()) as pool,
    ):
        for first in range(start, len(chosen), BLOCK_ENTRIES):
            part = slice(first, min(first + BLOCK_ENTRIES, len(chosen)))
            expected = manifest.digests(chosen[part])
            here = positions[part]
            bad["missing"] += chosen[part][here < 0].tolist()
            rows = np.flatnonzero(here >= 0)
            pieces = [rows[place : place + _SLICE] for place in range(0, len(rows), _SLICE)]
            jobs = pool.map(lambda piece: _digest_all(source, here[piece].tolist(), decode), pieces)  # noqa: B023
            for piece, (found, states) in zip(pieces, jobs):
                for row, (digest, _) in zip(piece.tolist(), found):
                    if digest is None:
                        bad["unreadable"].append(int(chosen[first + row]))
                    elif digest != expected[row].tobytes():
                        bad["changed"].append(int(chosen[first + row]))
                if decode:
                    for kind, count in status_counts(states).items():
                        status[kind] = status.get(kind, 0) + count
                bar.update(len(piece))
            state.save(part.stop, bad, status)
    state.remove()
    arrays = {kind: np.asarray(values, np.int64) for kind, values in bad.items()}
    return PoolReport(len(chosen), **arrays, by_position=by_position, status=status)


class _VerifyState:
    def __init__(self, path: Path | None, mark: str) -> None:
        self.path, self.mark = path, mark

    def load(self) -> tuple[int, dict[str, list[int]], dict[str, int]]:
        if self.path is not None and self.path.is_file():
            try:
                kept = json.loads(self.path.read_text())
                if kept["mark"] == self.mark:
                    return int(kept["done"]), kept["bad"], kept["status"]
            except (ValueError, KeyError, TypeError):
                pass  # not ours, or damaged: start anew
        return 0, {"missing": [], "changed": [], "unreadable": []}, {}

    def save(self, done: int, bad: dict[str, list[int]], status: dict[str, int]) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as file:
                file.write(json.dumps({"mark": self.mark, "done": done, "bad": bad, "status": status}).encode())
        except OSError:  # no place to remember it: no reason to stop
            self.path = None

    def remove(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
