"""The formats that plada is compared with, each as (encode, decode) on the layouts that suit it.

General compressors get four layouts of the index set and two of the labels (:mod:`benchmarks.layouts`). Numeric and
columnar formats get the arrays themselves. What a peer leaves out (pool size, count, number of classes, a checksum) is
given to it for nothing.
"""

from __future__ import annotations

import bz2
import io
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from .layouts import INDEX_LAYOUTS, LABEL_LAYOUTS, Array, Facts, Layout, gaps_of, indices_of, narrow_gaps, narrow_labels
from .selections import Selection


@dataclass(frozen=True)
class Subject:
    """One encoder and its decoder; ``stream`` is "index", "label" or "both" (whose decoder gives both arrays)."""

    name: str
    stream: str
    layout: str
    encode: Callable[[Selection], bytes]
    decode: Callable[[bytes, Facts], Any]

    @property
    def column(self) -> str:
        """Its name in the tables."""
        return f"{self.name}.{self.stream}.{self.layout}"


@dataclass(frozen=True)
class General:
    """A compressor of byte strings; ``compress`` is told the width of an element."""

    name: str
    compress: Callable[[bytes, int], bytes]
    decompress: Callable[[bytes, int], bytes]


def _lzma_filters(width: int, size: int) -> list[dict[str, int]]:
    """Preset 9e with a dictionary that holds ``size`` bytes: the preset's own 64 MiB would be filled in vain."""
    aligned = {1: 0, 2: 1, 4: 2}[width]
    return [
        {
            "id": lzma.FILTER_LZMA2,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": min(1 << 26, max(1 << 16, 1 << (size - 1).bit_length())),
            "lc": 3 if aligned < 2 else 2,
            "lp": aligned,
            "pb": aligned,
        }
    ]


def _xz(data: bytes, width: int) -> bytes:
    return lzma.compress(data, lzma.FORMAT_RAW, filters=_lzma_filters(width, len(data)))


def _unxz(data: bytes, width: int) -> bytes:
    return lzma.decompress(data, lzma.FORMAT_RAW, filters=_lzma_filters(width, 1 << 26))


def _zstd(level: int) -> General:
    def compress(data: bytes, width: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(data), write_content_size=1)
        return zstandard.ZstdCompressor(compression_params=parameters).compress(data)

    return General(f"zstd-{level}", compress, lambda data, width: zstandard.ZstdDecompressor().decompress(data))


def general() -> list[General]:
    """All general compressors that are installed."""
    found = [
        _zstd(19),
        _zstd(22),
        General("xz-9e", _xz, _unxz),
        General("bzip2", lambda data, width: bz2.compress(data, 9), lambda data, width: bz2.decompress(data)),
    ]
    try:
        import brotli

        def squeeze(data: bytes, width: int) -> bytes:
            return bytes(brotli.compress(data, quality=11, lgwin=24))

        found.append(General("brotli-11", squeeze, lambda data, width: bytes(brotli.decompress(data))))
    except ImportError:
        pass
    return found


def zpaq() -> General | None:
    """The archiver zpaq with method 5, one file per archive; None where it is not installed.

    It is no library, so it stays out of :func:`general`, whose tools are timed too.
    """
    if shutil.which("zpaq") is None:
        return None

    def run(folder: str, *arguments: str) -> None:
        subprocess.run(["zpaq", *arguments, "-t1"], cwd=folder, check=True, capture_output=True)

    def compress(data: bytes, width: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "x").write_bytes(data)
            run(folder, "a", "a.zpaq", "x", "-m5")
            return (Path(folder) / "a.zpaq").read_bytes()

    def decompress(data: bytes, width: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.zpaq").write_bytes(data)
            run(folder, "x", "a.zpaq")
            return (Path(folder) / "x").read_bytes()

    return General("zpaq-m5", compress, decompress)


def _general_subject(tool: General, layout: Layout, facts_of: Callable[[Selection], Facts]) -> Subject:
    return Subject(
        tool.name,
        layout.stream,
        layout.name,
        lambda s: tool.compress(layout.pack(s), layout.width(facts_of(s))),
        lambda data, facts: layout.unpack(tool.decompress(data, layout.width(facts)), facts),
    )


def _roaring() -> Iterator[Subject]:
    from pyroaring import BitMap

    def encode(s: Selection) -> bytes:
        bitmap = BitMap(s.indices)
        bitmap.run_optimize()
        return bytes(bitmap.serialize())

    yield Subject(
        "roaring",
        "index",
        "bitmap",
        encode,
        lambda data, facts: np.array(BitMap.deserialize(data).to_array(), np.uint32),
    )


def _pcodec() -> Iterator[Subject]:
    from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

    plain = ChunkConfig(
        compression_level=12, delta_spec=DeltaSpec.no_op(), mode_spec=ModeSpec.classic(), enable_8_bit=True
    )
    delta = ChunkConfig(compression_level=12, delta_spec=DeltaSpec.try_consecutive(1), mode_spec=ModeSpec.classic())
    free = ChunkConfig(compression_level=12, enable_8_bit=True)
    press, unpress = standalone.simple_compress, standalone.simple_decompress
    yield Subject(
        "pcodec", "index", "gaps", lambda s: press(gaps_of(s.indices), plain), lambda d, f: indices_of(unpress(d))
    )
    yield Subject("pcodec", "index", "delta", lambda s: press(s.indices, delta), lambda d, f: unpress(d))
    yield Subject(
        "pcodec", "label", "bytes", lambda s: press(narrow_labels(s), plain), lambda d, f: unpress(d).astype(np.uint16)
    )
    yield Subject("pcodec", "label", "auto", lambda s: press(s.labels, free), lambda d, f: unpress(d))


def _openzl() -> Iterator[Subject]:
    from openzl import ext as zl

    graphs, nodes = zl.graphs, zl.nodes

    def encoder(build: Callable[[Any], Any], values: Callable[[Selection], Array]) -> Callable[[Selection], bytes]:
        def encode(s: Selection) -> bytes:
            compressor = zl.Compressor()
            compressor.select_starting_graph(build(compressor))
            context = zl.CCtx()
            context.ref_compressor(compressor)
            context.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
            context.set_parameter(zl.CParam.ContentChecksum, 2)  # 2 = off
            context.set_parameter(zl.CParam.CompressedChecksum, 2)
            array = np.ascontiguousarray(values(s))  # Input borrows the memory and does not keep its owner alive
            return bytes(context.compress([zl.Input(zl.Type.Numeric, array)]))

        return encode

    def array(data: bytes) -> Array:
        return np.array(zl.DCtx().decompress(data)[0].content.as_nparray())

    def transposed(c: Any) -> Any:
        return nodes.ConvertNumToStructLE()(c, nodes.TransposeSplit()(c, graphs.Zstd(compression_level=22)(c)))

    def quantised(c: Any) -> Any:  # power-of-two class of the gap, entropy coded, and its remaining bits as they are
        return nodes.QuantizeOffsets()(c, graphs.Entropy()(c), graphs.Store()(c))

    def quantised_zstd(c: Any) -> Any:
        return nodes.QuantizeOffsets()(
            c, nodes.ConvertNumToSerialLE()(c, graphs.Zstd(compression_level=22)(c)), graphs.Store()(c)
        )

    def back(data: bytes, facts: Facts) -> Array:
        return indices_of(array(data))

    def back_from_one(data: bytes, facts: Facts) -> Array:
        return np.cumsum(array(data), dtype=np.uint32) - np.uint32(1)

    yield Subject(
        "openzl",
        "index",
        "generic",
        encoder(lambda c: graphs.Compress()(c), lambda s: s.indices),
        lambda d, f: array(d),
    )
    yield Subject("openzl", "index", "planes", encoder(transposed, narrow_gaps), back)
    yield Subject(
        "openzl", "index", "quantised", encoder(quantised, lambda s: gaps_of(s.indices) + np.uint32(1)), back_from_one
    )
    yield Subject(
        "openzl",
        "index",
        "quantised-zstd",
        encoder(quantised_zstd, lambda s: gaps_of(s.indices) + np.uint32(1)),
        back_from_one,
    )

    def labels(data: bytes, facts: Facts) -> Array:
        return array(data).astype(np.uint16)

    yield Subject("openzl", "label", "generic", encoder(lambda c: graphs.Compress()(c), narrow_labels), labels)
    yield Subject("openzl", "label", "field-lz", encoder(lambda c: graphs.FieldLz()(c), lambda s: s.labels), labels)
    yield Subject("openzl", "label", "planes", encoder(transposed, narrow_labels), labels)


def _parquet() -> Iterator[Subject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(s: Selection, index: str, label: str, compression: str, level: int) -> bytes:
        coded = pa.array(s.indices if index == "DELTA_BINARY_PACKED" else gaps_of(s.indices))
        table = pa.table({"i": coded, "l": pa.array(s.labels)})
        encodings = {"i": index} | ({} if label == "dictionary" else {"l": label})
        buffer = io.BytesIO()
        pq.write_table(
            table,
            buffer,
            compression=compression,
            compression_level=level,
            column_encoding=encodings,
            use_dictionary=["l"] if label == "dictionary" else False,
            write_statistics=False,
            store_schema=False,
            row_group_size=max(1, len(s.indices)),
            data_page_size=1 << 26,
            dictionary_pagesize_limit=1 << 26,
            max_rows_per_page=1 << 30,
        )
        return buffer.getvalue()

    def read(data: bytes, facts: Facts, index: str) -> tuple[Array, Array]:
        table = pq.read_table(io.BytesIO(data), use_threads=False)
        values = table["i"].to_numpy()
        return (values if index == "DELTA_BINARY_PACKED" else indices_of(values)), table["l"].to_numpy()

    for index, label, compression, level in (
        ("BYTE_STREAM_SPLIT", "dictionary", "zstd", 22),
        ("BYTE_STREAM_SPLIT", "BYTE_STREAM_SPLIT", "brotli", 11),
        ("BYTE_STREAM_SPLIT", "BYTE_STREAM_SPLIT", "zstd", 22),
        ("DELTA_BINARY_PACKED", "dictionary", "zstd", 22),
    ):
        short = {"BYTE_STREAM_SPLIT": "split", "DELTA_BINARY_PACKED": "delta", "dictionary": "dictionary"}
        yield Subject(
            "parquet",
            "both",
            f"{short[index]}-{short[label]}-{compression}",
            lambda s, a=(index, label, compression, level): write(s, *a),
            lambda data, facts, i=index: read(data, facts, i),
        )


def subjects(facts_of: Callable[[Selection], Facts]) -> tuple[list[Subject], dict[str, str]]:
    """All peers, and the reason for each that is missing here."""
    found = [
        _general_subject(tool, layout, facts_of) for tool in general() for layout in (*INDEX_LAYOUTS, *LABEL_LAYOUTS)
    ]
    numeric, absent = numeric_subjects()
    if not any(subject.name == "brotli-11" for subject in found):
        absent["brotli-11"] = "No module named 'brotli'"
    return found + numeric, absent


def numeric_subjects() -> tuple[list[Subject], dict[str, str]]:
    """The numeric and columnar formats, and the reason for each that is missing here."""
    found: list[Subject] = []
    absent: dict[str, str] = {}
    for name, make in (("roaring", _roaring), ("pcodec", _pcodec), ("openzl", _openzl), ("parquet", _parquet)):
        try:
            found += list(make())
        except ImportError as problem:
            absent[name] = str(problem)
    return found, absent
