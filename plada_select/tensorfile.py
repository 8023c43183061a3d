"""A deterministic safetensors writer and a bounded reader, on numpy alone.

The safetensors library writes its metadata in hash order, which differs from run to run; score tables must be the same
bytes on the same inputs. The layout is the public one, so any safetensors reader opens these files.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

_CODES = {"u1": "U8", "u2": "U16", "u4": "U32", "u8": "U64", "i8": "I64", "f4": "F32", "f8": "F64"}
_TYPES = {code: np.dtype("<" + name if name != "u1" else name) for name, code in _CODES.items()}
MAX_HEADER_BYTES = 1 << 20


def serialise(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Bytes of a safetensors file: arrays in the given order, metadata and a CRC-32 per array ("crc32:NAME") sorted by
    key.

    Raises:
        ValueError: an array's dtype is none of uint8, uint16, uint32, uint64, int64, float32, float64.
    """
    blobs, entries, checks, position = [], {}, {}, 0
    for name, array in arrays.items():
        code = _CODES.get(array.dtype.str[1:])
        if code is None:
            raise ValueError(f"column {name}: dtype {array.dtype} cannot be stored")
        blob = np.ascontiguousarray(array, dtype=_TYPES[code]).tobytes()
        entries[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [position, position + len(blob)]}
        checks[f"crc32:{name}"] = f"{zlib.crc32(blob):08x}"
        blobs.append(blob)
        position += len(blob)
    header = {"__metadata__": dict(sorted({**metadata, **checks}.items())), **entries}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-(len(text) + 8) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(blobs)


@dataclass(frozen=True)
class TensorFile:
    """Header of an opened file: ``metadata`` (string to string) and ``entries`` (name to dtype, shape, absolute offset,
    bytes)."""

    path: Path
    metadata: dict[str, str]
    entries: dict[str, tuple[np.dtype[Any], tuple[int, ...], int, int]]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TensorFile:
        """Read and check the header; nothing is allocated beyond the file's own size.

        Raises:
            UserError: no safetensors file, truncated, or with contradictory offsets.
            OSError: the file cannot be read.
        """
        path = Path(path)
        with open(path, "rb") as file:
            return cls._parse(path, file, os.fstat(file.fileno()).st_size)

    @classmethod
    def _parse(cls, path: Path, file: BinaryIO, size: int) -> TensorFile:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise UserError(
                f"{path}: damaged or truncated (header of {length} bytes in a file of {size}); delete it and run the"
                f" step again"
            )
        try:
            header = json.loads(file.read(length))
            metadata = {str(key): str(value) for key, value in header.pop("__metadata__", {}).items()}
            entries, end = {}, 8 + length
            for name, entry in header.items():
                dtype, shape = _TYPES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
                begin, stop = (8 + length + int(n) for n in entry["data_offsets"])
                if begin != end or stop - begin != dtype.itemsize * math.prod(shape) or min(shape, default=0) < 0:
                    raise ValueError(f"offsets of {name}")
                entries[name], end = (dtype, shape, begin, stop - begin), stop
            if end != size:
                raise ValueError(f"{size} bytes where the header says {end}")
        except (ValueError, KeyError, TypeError, AttributeError) as reason:
            raise UserError(f"{path}: damaged or truncated ({reason}); delete it and run the step again") from None
        return cls(path, metadata, entries)

    def read(self, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
        """The named arrays (default: all), each checked against its CRC-32.

        Raises:
            UserError: an array is missing or damaged.
        """
        out = {}
        with open(self.path, "rb") as file:
            for name in self.entries if names is None else names:
                if name not in self.entries:
                    raise UserError(f"{self.path}: holds no column {name!r} (has: {', '.join(self.entries)})")
                dtype, shape, offset, length = self.entries[name]
                file.seek(offset)
                blob = file.read(length)
                stated = self.metadata.get(f"crc32:{name}")
                if len(blob) != length or (stated is not None and f"{zlib.crc32(blob):08x}" != stated):
                    raise UserError(f"{self.path}: column {name!r} is damaged; delete the file and run the step again")
                out[name] = np.frombuffer(blob, dtype).reshape(shape)
        return out
