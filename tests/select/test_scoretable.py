"""Score tables: bytes, provenance, resume, merge, damage."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from score_tables import FINGERPRINT, MakeTable, make_columns, make_provenance, make_task

from plada_format.errors import UserError
from plada_select.scoretable import (
    CHUNK_ROWS,
    COLUMNS,
    Provenance,
    ScoreTable,
    chunk_bytes,
    chunk_name,
    merge,
    missing_chunks,
    open_chunk,
    read_table_json,
    start_table,
    write_chunk,
    write_table,
)

ROWS = 3 * CHUNK_ROWS + 1000


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    return make_columns(ROWS, 3)


@pytest.fixture(scope="module")
def provenance() -> Provenance:
    return make_provenance(ROWS, 3)


def shard(folder: Path, provenance: Provenance, columns: dict[str, np.ndarray], ids: list[int]) -> Path:
    start_table(folder, provenance, make_task(3))
    for i in ids:
        rows = slice(i * CHUNK_ROWS, i * CHUNK_ROWS + provenance.rows(i))
        write_chunk(folder, provenance, i, {name: columns[name][rows] for name in COLUMNS})
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_columns_come_back(tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]) -> None:
    table = write_table(tmp_path, provenance, make_task(3), columns)
    assert len(table) == ROWS
    for name, values in table.columns(*COLUMNS).items():
        assert values.dtype == COLUMNS[name]
        assert (values == columns[name]).all()
    assert read_table_json(tmp_path) == (provenance, make_task(3))


def test_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:3]\n"
        "from score_tables import *; from plada_select.scoretable import chunk_bytes\n"
        "print(hashlib.sha256(chunk_bytes(make_provenance(500, 3), 0, make_columns(500, 3))).hexdigest())"
    )
    here = Path(__file__).parent
    run = [sys.executable, "-c", code, str(here), str(here.parent.parent)]
    digests = {
        subprocess.run(run, env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_tables_and_selection_need_no_torch() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import plada_select.pipeline, plada_select.commands, plada_select.select, plada_select.payload\n"
        "assert not {'torch', 'timm', 'PIL', 'plada_train'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent.parent.parent)], check=True)


def test_any_safetensors_reader_opens_a_chunk(
    tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]
) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    folder = shard(tmp_path, provenance, columns, [3])
    loaded = load_file(folder / chunk_name(3))
    assert set(loaded) == set(COLUMNS)
    assert (loaded["energy"] == columns["energy"][3 * CHUNK_ROWS :]).all()


def test_four_shards_merge_to_the_bytes_of_one_run(
    tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]
) -> None:
    whole = shard(tmp_path / "whole", provenance, columns, [0, 1, 2, 3])
    parts = [shard(tmp_path / f"part{i}", provenance, columns, [i]) for i in range(4)]
    assert files(merge(parts[::-1], tmp_path / "merged")) == files(whole)
    # merging into one of them, and twice, changes nothing
    assert files(merge(parts, parts[0])) == files(whole)
    assert files(merge(parts, parts[0])) == files(whole)


def test_incomplete_table_is_named(tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]) -> None:
    folder = shard(tmp_path, provenance, columns, [0, 2])
    assert missing_chunks(folder, provenance) == [1, 3]
    with pytest.raises(UserError, match=r"2 of 4 chunks are missing \(first: 1\)"):
        ScoreTable.open(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dtype", "bfloat16"),
        ("teacher_digest", "00" * 32),
        ("pool_fingerprint", "ff" * 16),
        ("preprocessing", "ee" * 32),
        ("temperature", 2.0),
        ("device", "cuda"),
        ("compiled", True),
        ("batch_size", 32),
        ("versions", {"torch": "2"}),
    ],
)
def test_mixed_provenance_is_refused_everywhere(
    tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray], field: str, value: object
) -> None:
    other = make_provenance(ROWS, 3, **{field: value})
    ours = shard(tmp_path / "a", provenance, columns, [0, 1, 3])
    theirs = shard(tmp_path / "b", other, columns, [2])
    with pytest.raises(UserError, match=field):
        merge([ours, theirs], tmp_path / "c")
    with pytest.raises(UserError, match=field):
        start_table(ours, other, make_task(3))
    (theirs / chunk_name(2)).rename(ours / chunk_name(2))  # smuggled in
    with pytest.raises(UserError, match=field):
        ScoreTable.open(ours).columns("energy")
    with pytest.raises(UserError, match=field):
        missing_chunks(ours, provenance)


def test_table_of_another_pool_is_refused(make_table: MakeTable) -> None:
    table = make_table(100, 3)
    ScoreTable.open(table.folder, pool_fingerprint=FINGERPRINT, pool_size=100)
    with pytest.raises(UserError, match="another pool"):
        ScoreTable.open(table.folder, pool_fingerprint=bytes(16))
    with pytest.raises(UserError, match="100 images, the pool 101"):
        ScoreTable.open(table.folder, pool_size=101)


def test_chunk_under_another_name_is_refused(
    tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]
) -> None:
    folder = shard(tmp_path, provenance, columns, [0])
    (folder / chunk_name(0)).rename(folder / chunk_name(1))
    with pytest.raises(UserError, match="not chunk 1"):
        open_chunk(folder / chunk_name(1), provenance, 1)


def test_every_damage_is_found(make_table: MakeTable) -> None:
    table = make_table(200, 3)
    path = table.folder / chunk_name(0)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in sorted({*range(0, 80), *rng.integers(0, len(good), 150).tolist()}):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :])
        try:
            columns = ScoreTable.open(table.folder).columns(*COLUMNS)
        except UserError:
            continue
        # a flipped bit in unread header padding or in a name nobody reads must not change a value
        for name, values in table_columns(good, table).items():
            assert (columns[name] == values).all(), position
    for length in (0, 7, 8, 100, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(UserError, match="damaged or truncated"):
            ScoreTable.open(table.folder).columns("energy")
        assert missing_chunks(table.folder, table.provenance) == [0]  # scored again
    path.write_bytes(good + b"x")
    with pytest.raises(UserError, match="damaged"):
        ScoreTable.open(table.folder).columns("energy")


def table_columns(good: bytes, table: ScoreTable) -> dict[str, np.ndarray]:
    other = table.folder.parent / "good"
    start_table(other, table.provenance, table.task)
    (other / chunk_name(0)).write_bytes(good)
    return ScoreTable.open(other).columns(*COLUMNS)


def test_huge_header_length_allocates_nothing(make_table: MakeTable) -> None:
    table = make_table(100, 3)
    path = table.folder / chunk_name(0)
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(UserError, match="damaged"):
        ScoreTable.open(table.folder).columns("energy")


def test_label_outside_the_classes(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["label"][5] = 3

    with pytest.raises(UserError, match="label 3 in a table of 3"):
        make_table(100, 3, edit=edit).columns("label")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "plada score table", "version": 99}', "\x00"])
def test_broken_table_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(UserError, match="not a score table"):
        ScoreTable.open(tmp_path)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="plada score"):
        ScoreTable.open(tmp_path)


def test_other_class_names_are_refused(make_table: MakeTable) -> None:
    table = make_table(100, 3)
    with pytest.raises(UserError, match="another task"):
        start_table(table.folder, table.provenance, {**table.task, "class_names": ["a", "b", "c"]})


def test_full_disk_leaves_nothing(tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]) -> None:
    """A real limit on file size, in a child process: the write fails half way, like on a full disk."""
    code = (
        "import resource, signal, sys; sys.path[:0] = sys.argv[2:4]\n"
        "from score_tables import *; from plada_select.scoretable import *; from pathlib import Path\n"
        "p = make_provenance(60000, 3); folder = start_table(Path(sys.argv[1]), p, make_task(3))\n"
        "columns = make_columns(60000, 3)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "try: write_chunk(folder, p, 0, columns)\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    here = Path(__file__).parent
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(here), str(here.parent.parent)], check=False)
    assert run.returncode == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]
    folder = tmp_path
    full = make_provenance(60000, 3)
    assert missing_chunks(folder, full) == [0]
    write_chunk(folder, full, 0, make_columns(60000, 3))
    assert missing_chunks(folder, full) == []


def test_leftover_of_a_killed_write_is_swept(
    tmp_path: Path, provenance: Provenance, columns: dict[str, np.ndarray]
) -> None:
    start_table(tmp_path, provenance, make_task(3))
    (tmp_path / f".{chunk_name(0)}.abcd.tmp").write_bytes(b"half")
    shard(tmp_path, provenance, columns, [0])
    assert sorted(path.name for path in tmp_path.iterdir()) == [chunk_name(0), "table.json"]


def test_wrong_columns_are_refused(provenance: Provenance, columns: dict[str, np.ndarray]) -> None:
    part = {name: values[:CHUNK_ROWS] for name, values in columns.items()}
    with pytest.raises(ValueError, match="energy"):
        chunk_bytes(provenance, 0, {**part, "energy": part["energy"].astype(np.float64)})
    with pytest.raises(ValueError, match="chunk 9"):
        chunk_bytes(provenance, 9, part)


def test_provenance_round_trip(provenance: Provenance) -> None:
    assert Provenance.from_json(json.loads(provenance.canonical())) == provenance
    with pytest.raises(ValueError, match="fields"):
        Provenance.from_json({"dtype": "float32"})
