"""Fill the worked examples of SPEC.md, between ``<!--EXAMPLE:name-->`` and ``<!--/EXAMPLE-->``.

python vectors/spec_examples.py          rewrite SPEC.md
python vectors/spec_examples.py --check  fail if SPEC.md would change
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

import plada_format as pf
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS, SINCE_1_1

SPEC = Path(__file__).resolve().parent.parent / "SPEC.md"
sys.path.insert(0, str(SPEC.parent / "tests" / "reference"))

import reference_adaptive as reference  # noqa: E402  # a script of another folder

N, INDICES = 40, [3, 4, 5, 17, 18, 31]
A, LABELS = 4, [2, 2, 2, 0, 2, 2, 1, 1]

#: Explanations by codec; {0}, {1}, ... are the bytes of the stream.
NOTES = {
    "index-bitmap": "bits 3, 4, 5 of byte 0, bits 1, 2 of byte 2, bit 7 of byte 3 are one",
    "index-golomb": """{0}        P = 1: Exp-Golomb, order 0. Gaps 3 0 0 11 0 12, t = 4 1 1 12 1 13, q = 2 0 0 3 0 3
{1} {2} {3}  part A 001 1 1 0001 1 0001, no part B, part C 00 - - 001 - 101 (first bit first), 2 padding bits""",
    "index-runs": """{0}        R = 3 runs: 3-5, 17-18, 31
{1} {2} {3}  block of the unkept stretches 3 11 12, the later ones minus 1: 3 10 11 (P = 3: Exp-Golomb, order 1)
{4} {5}     block of the first two lengths minus 1: 2, 1 (P = 0: unary)""",
    "index-delta-zstd": """{0}        Q: one byte per gap, byte planes
the rest  a frame whose content is 03 00 00 0b 00 0c""",
    "index-bitmap-zstd": "a frame whose content is the bitmap of 6.1",
    "label-fixed": "two bits per label: 2 2 2 0 | 2 2 1 1, first label in the lowest bits",
    "label-huffman": """{0}        U = 3 symbols
{1} {2}     block of their gaps 0 0 0: the symbols 0, 1, 2
{3} {4}     lengths: starts at ceil(log2 3) = 2, differences 0 0 -1 -> zigzag 0 0 1: lengths 2, 2, 1
{5} {6}     codes: symbol 2 = 0, symbol 0 = 10, symbol 1 = 11: 0 0 0 10 0 0 11 11, 5 padding bits""",
    "label-runs": """{0}        R = 4 runs: 2 2 2 | 0 | 2 2 | 1 1
{1} .. {5}  Huffman table as in 7.2
{6}        codes of 2 0 2 1: 0 10 0 11, 2 padding bits
{7} {8}     block of the lengths minus 1: 2 0 1""",
}


def _hex(data: bytes) -> str:
    return data.hex(" ")


def _rans_trace(words: bytes, precision: int, cumulative: list[int], count: int, names: list[int]) -> str:
    """The decoder's states, one line per symbol (one lane)."""
    x = int.from_bytes(words[:4], "little")
    at, lines = 4, []
    for _ in range(count):
        slot = x % (1 << precision)
        j = max(i for i, c in enumerate(cumulative[:-1]) if c <= slot)
        after = (cumulative[j + 1] - cumulative[j]) * (x >> precision) + slot - cumulative[j]
        note = ""
        if after < 1 << 16:
            word = int.from_bytes(words[at : at + 2], "little")
            after, at, note = after << 16 | word, at + 2, f"   reads word {word:#06x}"
        lines.append(f"x = {x:#010x}  slot {slot:5d}  symbol {names[j]}  -> {after:#010x}{note}")
        x = after
    return "\n".join(lines)


def _codec_example(kind: str, codec: object) -> str:
    name = f"{kind}-{codec.name}"  # type: ignore[attr-defined]
    if kind == "index":
        content = f"N = {N}, indices {' '.join(map(str, INDICES))}"
        stream = codec.encode(np.array(INDICES, np.uint32), N)  # type: ignore[attr-defined]
    else:
        content = f"A = {A}, labels {' '.join(map(str, LABELS))}"
        stream = codec.encode(np.array(LABELS, np.uint16), A)  # type: ignore[attr-defined]
    if name == "index-rans":
        from plada_format.engines import gapclass

        half_life = gapclass.geometric_half_life(N, len(INDICES))
        table = gapclass.geometric_table(N, len(INDICES), half_life)
        cumulative = [*table.cumulative.tolist(), 65536]
        head = 2 if half_life > 127 else 1
        note = (
            f"P = {half_life}: geometric table; {len(cumulative) - 1} classes, c = {' '.join(map(str, cumulative))}\n"
            "the gaps 3 0 0 11 0 12 have classes 3 0 0 9 0 10, with 0 0 0 1 0 1 raw bits: 1 and 0\n"
            + _rans_trace(stream[head:], 16, cumulative, len(INDICES), list(range(len(cumulative))))
        )
    elif name == "label-rans":
        note = (
            "03        U = 3 symbols; 00 07 their gaps: the symbols 0, 1, 2\n"
            "02        s = 2\n"
            "00 03     block of f - 1 = 0 0, so f = 1 1 2\n"
            + _rans_trace(stream[6:], 2, [0, 1, 2, 4], len(LABELS), [0, 1, 2])
        )
    elif name == "label-zstd":
        note = "Q = 0, then a frame whose content is the labels, one byte each"
    else:
        note = NOTES[name].format(*(f"{b:02x}" for b in stream))
    return f"{content}\nstream {_hex(stream)}\n\n{note}"


def _adaptive_example(name: str) -> str:
    """Streams of an adaptive codec with its decisions, by the reference decoder: both modes where there are two."""
    indices, labels, groups = np.array(INDICES, np.uint32), [2, 2, 0, 1, 1, 2], [0, 8, 16, 30]
    grouped, index = name.endswith("groups"), name.startswith("index")
    text = [f"N = {N}, indices {' '.join(map(str, INDICES))}" if index else
            f"A = 3, indices {' '.join(map(str, INDICES))}, labels {' '.join(map(str, labels))}"]  # fmt: skip
    if grouped:
        text.append(f"groups at {' '.join(map(str, groups))}")
    for mode in (None,) if grouped else (1, 0):
        if index:
            codec = INDEX_CODECS[0x09 if grouped else 0x08]
            stream = codec.encode(indices, N, **({"groups": np.array(groups)} if grouped else {"parameters": mode}))
        else:
            codec = LABEL_CODECS[0x29 if grouped else 0x28]
            more = {"pool_size": N, "groups": np.array(groups)} if grouped else {"parameters": mode}
            stream = codec.encode(np.array(labels, np.uint16), 3, indices=indices, **more)
        decoder = reference.Decoder(stream)
        if index:
            found = reference.index_groups(decoder, N, len(INDICES), groups) if grouped else (
                reference.index_adaptive(decoder, N, len(INDICES)))  # fmt: skip
            assert found == INDICES
        else:
            assert reference.label_adaptive(decoder, 3, INDICES, groups if grouped else None) == labels
        text += ["", f"stream {_hex(stream)}" + ("" if mode is None else f"   mode {mode}: the first decision")]
        text += [line.strip() for line in decoder.trace[: 10 if mode != 0 else 7]]
        text.append(f"... ({len(decoder.trace)} decisions with a probability of their own in all)")
    return "\n".join(text)


def _file_example() -> str:
    labels = [2, 2, 0, 1, 1, 2]
    data = pf.encode(INDICES, labels, pool_size=N, num_classes=3, index_codec="golomb", label_codec="fixed")
    rows = [
        (0, 8, "signature"),
        (8, 10, "version 1.0"),
        (10, 11, f"H = {data[10]}"),
        (11, 12, "flags"),
        (12, 16, f"N = {N}"),
        (16, 20, f"k = {len(INDICES)}"),
        (20, 22, "K - 1 = 2"),
        (22, 38, "pool fingerprint: not identified"),
        (38, 46, "content digest"),
        (46, 48, f"section 0x01, index-golomb, {data[47]} bytes"),
        (48, 50, f"section 0x20, label-fixed, {data[49]} bytes"),
        (50, 54, "CRC-32 of bytes 0..49"),
        (54, 54 + data[47], "index stream (6.2)"),
        (54 + data[47], 58 + data[47], "CRC-32 of 01 and the stream"),
        (58 + data[47], 58 + data[47] + data[49], "label stream: " + " ".join(map(str, labels))),
        (58 + data[47] + data[49], len(data), "CRC-32 of 20 and the stream"),
    ]
    lines = [
        f"N = {N}, K = 3, indices {' '.join(map(str, INDICES))}, labels {' '.join(map(str, labels))}",
        f"file {_hex(data)}",
        "",
    ]
    lines += [f"{a:4d}  {_hex(data[a:b]):47}  {text}" for a, b, text in rows]
    return "\n".join(lines)


def examples() -> dict[str, str]:
    """Text of every example by name."""
    found = {"file": _file_example()}
    for kind, codecs in (("index", INDEX_CODECS), ("label", LABEL_CODECS)):
        for codec in codecs.values():
            name = f"{kind}-{codec.name}"
            found[name] = _adaptive_example(name) if codec.id in SINCE_1_1 else _codec_example(kind, codec)
    return found


def filled(text: str) -> str:
    """SPEC.md's text with all examples in place."""
    for name, example in examples().items():
        block = f"<!--EXAMPLE:{name}-->\n```text\n{example}\n```\n<!--/EXAMPLE-->"
        text, count = (
            re.subn(
                rf"<!--EXAMPLE:{name}-->(?:.*?<!--/EXAMPLE-->)?", lambda _, b=block: b, text, count=1, flags=re.DOTALL
            )
            if f"<!--EXAMPLE:{name}-->\n```" in text
            else re.subn(rf"<!--EXAMPLE:{name}-->", lambda _, b=block: b, text, count=1)
        )
        if count != 1:
            raise SystemExit(f"SPEC.md has no place for example {name!r}")
    return text


def main() -> int:
    before = SPEC.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" in sys.argv:
        return int(after != before)
    SPEC.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
