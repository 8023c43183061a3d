"""SPEC.md, code and vectors name the same codecs, sections and errors; its examples are what the code does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import plada_format as pf
from plada_format import container
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

ROOT = Path(__file__).resolve().parents[2]
SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")
VECTORS = json.loads((ROOT / "vectors/manifest.json").read_text(encoding="utf-8"))["vectors"]
HEADINGS = (
    "Purpose",
    "Inputs",
    "Parameters",
    "Bit layout",
    "Decoding",
    "Failure conditions",
    "Termination",
    "Encoder guidance",
    "Cost",
    "Worked example",
)
NAMES = {c.id: f"index-{c.name}" for c in INDEX_CODECS.values()} | {
    c.id: f"label-{c.name}" for c in LABEL_CODECS.values()
}


def test_registry_tables_equal_the_code() -> None:
    rows = re.findall(r"^\| (0x[0-9A-F]{2}) \| ((?:index|label)-[a-z-]+) \| (\w+) \| stable \|", SPEC, re.MULTILINE)
    assert {int(i, 16): name for i, name, _ in rows} == NAMES
    profiles = {int(i, 16): profile for i, _, profile in rows}
    for codec in [*INDEX_CODECS.values(), *LABEL_CODECS.values()]:
        assert profiles[codec.id] == codec.profile


@pytest.mark.parametrize("number", sorted(NAMES))
def test_every_codec_has_its_page_with_all_headings(number: int) -> None:
    name = NAMES[number]
    page = re.search(rf"^### \d\.\d {name} \(0x{number:02X}\)$(.*?)(?=^##)", SPEC, re.MULTILINE | re.DOTALL)
    assert page, f"no page for {name}"
    positions = [page[1].find(f"*{heading}") for heading in HEADINGS]
    assert -1 not in positions, (name, HEADINGS[positions.index(-1)])
    assert f"<!--EXAMPLE:{name}-->" in page[1]
    assert (ROOT / "plada_format/codecs" / name.replace("-", "_")).is_dir()


def test_no_page_without_a_codec() -> None:
    pages = re.findall(r"^### [67]\.\d ((?:index|label)-[a-z-]+) \(", SPEC, re.MULTILINE)
    assert sorted(pages) == sorted(NAMES.values())


def test_error_table_equals_the_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", SPEC, re.MULTILINE))
    listed = {int(number): name for number, name in rows.items()}
    for code in pf.ErrorCode:
        if 40 <= code < 50:
            assert code.name in SPEC
        else:
            assert listed[int(code)] == code.name
    assert set(listed) <= {int(code) for code in pf.ErrorCode}


def test_every_error_of_a_payload_has_a_vector() -> None:
    covered = {entry["error"] for entry in VECTORS if "error" in entry}
    expected = {int(c) for c in pf.ErrorCode if c < 40}
    assert covered == expected


def test_section_types_equal_the_code() -> None:
    for kind, name in container.SECTION_NAMES.items():
        row = re.search(rf"^\| 0x{kind:02X} \| (.*?) \|", SPEC, re.MULTILINE)
        assert row, hex(kind)
        wanted = {
            "weights": "image weights",
            "soft labels": "average soft labels",
            "signature": "reserved for an Ed25519 signature",
        }
        assert wanted.get(name, name) in row[1]


def test_worked_examples_are_current() -> None:
    run = subprocess.run([sys.executable, "vectors/spec_examples.py", "--check"], cwd=ROOT, capture_output=True)
    assert run.returncode == 0, "run vectors/spec_examples.py"


def test_example_of_the_integer_block() -> None:
    from plada_format.engines import intblock

    assert "`06 C6 00`" in SPEC
    assert intblock.encode([5, 0, 12], 6).hex(" ").upper() == "06 C6 00"  # type: ignore[arg-type]


def test_pad_and_field_example() -> None:
    value = int.from_bytes(bytes.fromhex("a601"), "little")
    assert value >> 1 & 7 == 3
    assert value >> 5 & 31 == 13


def test_kaitai_description_names_every_section_type() -> None:
    text = (ROOT / "docs/plada.ksy").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^    (0x[0-9a-f]{2}): (\w+)$", text, re.MULTILINE))
    expected = {f"0x{number:02x}": name.replace("-", "_") for number, name in NAMES.items()}
    expected |= {f"0x{number:02x}": name.replace(" ", "_") for number, name in container.SECTION_NAMES.items()}
    assert listed == expected
