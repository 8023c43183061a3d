"""Payload and manifest together give file names and classes, or a reason why not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import plada_format
from plada_format.errors import ErrorCode, PladaError, PoolMismatchError
from plada_format.manifest import BLOCK_ENTRIES, Manifest, ManifestBuilder, check_pool, join

SIZE = 2 * BLOCK_ENTRIES + 100


@dataclass(frozen=True)
class Header:
    pool_size: int
    pool_fingerprint: bytes | None


@dataclass(frozen=True)
class Payload:
    """What join needs of a payload."""

    header: Header
    indices: NDArray[Any]
    labels: NDArray[Any]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("join") / "pool.pladapool"
    with ManifestBuilder(path, name="joined") as builder:
        for place in range(SIZE):
            builder.add(f"{place}.png", hashlib.sha256(b"%d" % place).digest())
    return path


@pytest.fixture
def payload(pool: Path) -> Payload:
    with Manifest.open(pool) as manifest:
        header = Header(SIZE, manifest.fingerprint)
    indices = np.array([3, 5, BLOCK_ENTRIES - 1, BLOCK_ENTRIES + 8], np.uint32)
    return Payload(header, indices, np.array([1, 0, 65535, 2], np.uint16))


def test_join(pool: Path, payload: Payload) -> None:
    with Manifest.open(pool) as manifest:
        keys, labels = join(payload, manifest)
        assert keys == ["3.png", "5.png", "65535.png", "65544.png"]
        assert labels.dtype == np.uint16 and labels.tolist() == [1, 0, 65535, 2]
        # two of three blocks, each once
        assert 2 * 32 * BLOCK_ENTRIES < manifest.bytes_read < 3 * 32 * BLOCK_ENTRIES
        empty = replace(payload, indices=payload.indices[:0], labels=payload.labels[:0])
        assert join(empty, manifest)[0] == []


def test_join_of_a_real_payload(pool: Path) -> None:
    with Manifest.open(pool) as manifest:
        fingerprint = manifest.fingerprint
        indices, labels = [7, BLOCK_ENTRIES, SIZE - 1], [2, 0, 1]
        data = plada_format.encode(indices, labels, pool_size=SIZE, num_classes=3, pool_fingerprint=fingerprint)
        decoded = plada_format.decode(data, pool_size=SIZE, pool_fingerprint=fingerprint)
        assert plada_format.join is join
        keys, found = plada_format.join(decoded, manifest)
        assert keys == ["7.png", "65536.png", f"{SIZE - 1}.png"]
        assert found.tolist() == labels
        bare = plada_format.decode(plada_format.encode(indices, labels, pool_size=SIZE, num_classes=3))
        with pytest.raises(PoolMismatchError) as caught:
            join(bare, manifest)
        assert caught.value.code == ErrorCode.POOL_UNIDENTIFIED


def test_wrong_pool(pool: Path, payload: Payload) -> None:
    cases = {
        ErrorCode.POOL_SIZE_MISMATCH: Header(SIZE - 1, payload.header.pool_fingerprint),
        ErrorCode.POOL_MISMATCH: Header(SIZE, bytes(range(16))),
        ErrorCode.POOL_UNIDENTIFIED: Header(SIZE, None),
    }
    with Manifest.open(pool) as manifest:
        opened = manifest.bytes_read
        for code, header in cases.items():
            with pytest.raises(PoolMismatchError, match="'joined'") as caught:
                join(replace(payload, header=header), manifest)
            assert caught.value.code == code
            assert "\n" not in str(caught.value)
        assert manifest.bytes_read == opened, "blocks were read before the pool was known to be right"
        with pytest.raises(PoolMismatchError) as caught:
            check_pool(Header(SIZE, bytes(16)), manifest)
        assert caught.value.code == ErrorCode.POOL_UNIDENTIFIED
        # allowed: no fingerprint. Still not allowed: a wrong one, or a wrong size
        assert len(join(replace(payload, header=Header(SIZE, None)), manifest, allow_unidentified=True)[0]) == 4
        for header in (Header(SIZE, bytes(range(16))), Header(SIZE + 1, None)):
            with pytest.raises(PoolMismatchError):
                join(replace(payload, header=header), manifest, allow_unidentified=True)


def test_damage_matters_where_it_is_touched(tmp_path: Path, pool: Path, payload: Payload) -> None:
    data = bytearray(pool.read_bytes())
    data[-32 * 100 - 5] ^= 4  # a digest of the second block
    damaged = tmp_path / "damaged.pladapool"
    damaged.write_bytes(data)
    with Manifest.open(damaged) as manifest:
        with pytest.raises(PladaError, match="images 65536 to 131071") as caught:
            join(payload, manifest)
        assert caught.value.code == ErrorCode.MANIFEST_BLOCK
        keys, _ = join(replace(payload, indices=payload.indices[:3], labels=payload.labels[:3]), manifest)
        assert keys == ["3.png", "5.png", "65535.png"]
        with pytest.raises(PladaError, match="images 65536 to 131071"):
            manifest.digests([BLOCK_ENTRIES])
        with pytest.raises(PladaError, match="images 65536 to 131071"):
            manifest.verify_blocks()
