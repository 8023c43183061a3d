"""encode, decode and recode: what goes in comes out, through files and pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import plada_format as pf


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def test_csv_round_trip(plada, samples):
    out = plada("decode", samples / "plain.plada").stdout
    assert out == (samples / "plain.csv").read_bytes()


def test_everything_goes_along(plada, samples):
    payload = pf.read(samples / "full.plada")
    source = rows((samples / "kept.csv").read_bytes())
    assert payload.indices.tolist() == [int(row["index"]) for row in source]
    assert payload.labels.tolist() == [int(row["label"]) for row in source]
    np.testing.assert_allclose(payload.weights, [float(row["weight"]) for row in source], rtol=0.03)
    assert payload.class_names == ("cat", "dog, large", "bird ü")
    assert dict(payload.metadata) == {"input_size": "224", "task": "pets=animals"}
    with pf.Manifest.open(samples / "pool.pladapool") as manifest:
        assert payload.header.pool_fingerprint == manifest.fingerprint
        assert payload.header.pool_size == len(manifest)


def test_decode_with_the_pool_gives_keys_labels_and_class_names(plada, samples):
    out = rows(plada("decode", samples / "full.plada", "--manifest", samples / "pool.pladapool").stdout)
    source = rows((samples / "kept.csv").read_bytes())
    names = (samples / "names.txt").read_text(encoding="utf-8").splitlines()
    assert list(out[0]) == ["index", "key", "label", "class_name", "weight"]
    assert [row["label"] for row in out] == [row["label"] for row in source]
    assert [row["class_name"] for row in out] == [names[int(row["label"])] for row in source]
    for row in out:
        number = int(row["index"])
        assert row["key"] == f"group{number // 100}/image {number:06}.jpg"


@pytest.mark.parametrize("kind", ["npz", "parquet", "csv"])
def test_decoded_tables_encode_to_an_equal_payload(plada, samples, tmp_path, kind):
    table, again = tmp_path / f"table.{kind}", tmp_path / "again.plada"
    plada("decode", samples / "full.plada", table, "--manifest", samples / "pool.pladapool")
    options = ["--manifest", samples / "pool.pladapool"]
    if kind == "csv":  # has no place for these
        options += ["--class-names", samples / "names.txt"]
        options += ["--metadata", "input_size=224", "--metadata", "task=pets=animals"]
    plada("encode", table, again, *options)
    assert again.read_bytes() == (samples / "full.plada").read_bytes()


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_npz_and_parquet_say_which_pool(plada, samples, tmp_path, kind):
    table, again = tmp_path / f"table.{kind}", tmp_path / "again.plada"
    plada("decode", samples / "full.plada", table)
    plada("encode", table, again)
    assert pf.read(again) == pf.read(samples / "full.plada")


def test_parquet_columns_have_types(plada, samples, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    plada("decode", samples / "full.plada", tmp_path / "t.parquet", "--manifest", samples / "pool.pladapool")
    table = parquet.read_table(tmp_path / "t.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds == {"index": "uint32", "key": "string", "label": "uint16", "class_name": "string", "weight": "float"}


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_an_empty_selection_survives(plada, samples, tmp_path, kind):
    (tmp_path / "none.csv").write_text("index,label\n")
    plada("encode", "none.csv", "none.plada", "--pool-size", "10", "--num-classes", "2", cwd=tmp_path)
    plada("decode", "none.plada", f"out.{kind}", cwd=tmp_path)
    plada("encode", f"out.{kind}", "again.plada", "--pool-size", "10", "--num-classes", "2", cwd=tmp_path)
    assert (tmp_path / "again.plada").read_bytes() == (tmp_path / "none.plada").read_bytes()


def test_pipes(plada, samples):
    options = ["--pool-size", "1000", "--num-classes", "3", "--quiet"]
    payload = plada("encode", "-", "-", *options, stdin=(samples / "plain.csv").read_bytes())
    assert payload.stdout == (samples / "plain.plada").read_bytes()
    assert payload.stderr == b""
    assert plada("decode", "-", stdin=payload.stdout).stdout == (samples / "plain.csv").read_bytes()
    recoded = plada("recode", "-", "-", "--index-codec", "bitmap", stdin=payload.stdout)
    assert pf.decode(recoded.stdout).header.index_codec == "bitmap"
    assert plada("info", "-", stdin=payload.stdout).returncode == 0
    assert plada("verify", "-", stdin=payload.stdout).returncode == 0
    table = plada("decode", "-", "--format", "npz", stdin=payload.stdout).stdout
    assert plada("encode", "-", "-", stdin=table).stdout == payload.stdout


def test_a_table_without_header_line_and_other_dialects(plada, samples, tmp_path):
    want = (samples / "plain.plada").read_bytes()
    text = (samples / "plain.csv").read_text()
    body = text.partition("\n")[2]
    lines = body.splitlines()
    swapped = "\r\n".join(["label,key,index", *(f'{c},"a,b",{i}' for i, c in (line.split(",") for line in lines)), ""])
    for variant in (
        body,
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        swapped,
        text.replace("index,label", "Indices,LABELS"),
    ):
        (tmp_path / "t.csv").write_bytes(variant.encode())
        done = plada("encode", tmp_path / "t.csv", "-", "--pool-size", "1,000", "--num-classes", "3")
        assert done.stdout == want


def test_sort(plada, samples, tmp_path):
    head, *lines = (samples / "kept.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([head, *reversed(lines)]) + "\n")
    options = ["--pool-size", "1000", "--num-classes", "3"]
    plada("encode", "t.csv", "t.plada", *options, cwd=tmp_path, code=1)
    plada("encode", "t.csv", "t.plada", "--sort", *options, cwd=tmp_path)
    payload, full = pf.read(tmp_path / "t.plada"), pf.read(samples / "full.plada")
    assert payload.indices.tolist() == full.indices.tolist()
    assert payload.labels.tolist() == full.labels.tolist()
    assert payload.weights.tolist() == full.weights.tolist()


def test_soft_labels(plada, samples, tmp_path):
    soft = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    np.save(tmp_path / "soft.npy", soft)
    np.savetxt(tmp_path / "soft.csv", soft, delimiter=",")
    made = []
    for name in ("soft.npy", "soft.csv"):
        options = ["--pool-size", "1000", "--num-classes", "3", "--soft-labels", name]
        made.append(plada("encode", samples / "plain.csv", "-", *options, cwd=tmp_path).stdout)
    assert made[0] == made[1]
    np.testing.assert_allclose(pf.decode(made[0]).soft_labels, soft, atol=0.004)
    table = plada("decode", "-", "--format", "npz", stdin=made[0]).stdout
    assert plada("encode", "-", "-", stdin=table).stdout == made[0]


def test_codecs_and_profile(plada, samples):
    options = ["--pool-size", "1000", "--num-classes", "3", "--index-codec", "bitmap", "--label-codec", "fixed"]
    header = pf.inspect(plada("encode", samples / "plain.csv", "-", *options).stdout)
    assert (header.index_codec, header.label_codec) == ("bitmap", "fixed")
    plada("encode", samples / "plain.csv", "-", *options[:4], "--index-codec", "no-such", code=1)


def test_outputs_are_not_replaced_without_force(plada, samples, tmp_path):
    target = tmp_path / "out.plada"
    target.write_bytes(b"precious")
    options = ["--pool-size", "1000", "--num-classes", "3"]
    for command in (
        ["encode", samples / "plain.csv", target, *options],
        ["decode", samples / "plain.plada", target],
        ["recode", samples / "plain.plada", target],
    ):
        assert b"--force" in plada(*command, code=1).stderr
        assert target.read_bytes() == b"precious"
    plada("encode", samples / "plain.csv", target, *options, "--force")
    assert target.read_bytes() == (samples / "plain.plada").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.plada"]


def test_output_gets_usual_permissions(plada, samples, tmp_path):
    target = tmp_path / "out.csv"
    plada("decode", samples / "plain.plada", target)
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_devices_links_and_pipes_are_written_through(plada, samples, tmp_path, environment):
    plada("decode", samples / "plain.plada", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    plada("decode", samples / "plain.plada", tmp_path / "link.csv", "--force")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == (samples / "plain.csv").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "plada_format.cli.main", "decode", samples / "plain.plada", tmp_path / "pipe"]
    with subprocess.Popen(command, env=environment) as process:
        assert (tmp_path / "pipe").read_bytes() == (samples / "plain.csv").read_bytes()
        assert process.wait() == 0


def test_config_gives_defaults_and_flags_win(plada, samples, tmp_path):
    settings = {
        "pool_size": 1000,
        "encode": {"num-classes": 3, "metadata": {"a": 1, "b": "x y"}},
        "decode": {"format": "npz"},
    }
    (tmp_path / "plada.json").write_text(json.dumps(settings))
    (tmp_path / "plada.yaml").write_text(
        "pool_size: 1000\nencode:\n  num-classes: 3\n  metadata:\n    a: 1\n    b: x y\ndecode: {format: npz}\n"
    )
    made = [
        plada("encode", samples / "plain.csv", "-", "--config", tmp_path / f"plada.{end}").stdout
        for end in ("json", "yaml")
    ]
    assert made[0] == made[1]
    assert dict(pf.decode(made[0]).metadata) == {"a": "1", "b": "x y"}
    config = f"--config={tmp_path / 'plada.json'}"
    changed = plada("encode", samples / "plain.csv", "-", config, "--pool-size", "1001", "--metadata", "c=2").stdout
    assert pf.inspect(changed).pool_size == 1001
    assert dict(pf.decode(changed).metadata) == {"a": "1", "b": "x y", "c": "2"}
    assert plada("decode", samples / "plain.plada", "-", config).stdout[:2] == b"PK"
    assert plada("decode", samples / "plain.plada", config, "--format", "csv").stdout[:6] == b"index,"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"no-such": 1}', "no option 'no-such'"),
        ('{"input": "x"}', "no option 'input'"),
        ("[1, 2]", "expected option names"),
        ("{", "no valid JSON"),
        ("a: [", "no valid YAML"),
        ('{"force": "yes"}', "true or false"),
        ('{"pool-size": [1, 2]}', "takes one value"),
        ('{"decode": 3}', "must hold option names"),
    ],
)
def test_bad_config(plada, samples, tmp_path, text, expected):
    (tmp_path / "c").write_text(text)
    assert expected in plada("decode", samples / "plain.plada", "--config", tmp_path / "c", code=1).stderr.decode()


def test_bad_values_in_config_are_usage_errors(plada, samples, tmp_path):
    (tmp_path / "c.json").write_text('{"pool-size": "many"}')
    assert b"'many'" in plada("decode", samples / "plain.plada", "--config", tmp_path / "c.json", code=2).stderr
    plada("decode", samples / "plain.plada", "--config", tmp_path / "absent.json", code=1)


def test_many_rows_in_pieces(plada, tmp_path):
    """More rows than are converted at a time."""
    rng = np.random.default_rng(3)
    index = np.flatnonzero(rng.random(1_000_000) < 0.15)
    label = rng.integers(0, 7, index.size)
    np.savez(tmp_path / "t.npz", index=index, label=label)
    with open(tmp_path / "t.csv", "w") as file:
        file.write("index,label\n")
        file.writelines(f"{i},{c}\n" for i, c in zip(index.tolist(), label.tolist()))
    options = ["--pool-size", "1000000", "--num-classes", "7", "--index-codec", "bitmap", "--label-codec", "fixed"]
    made = [plada("encode", f"t.{kind}", "-", *options, cwd=tmp_path).stdout for kind in ("npz", "csv")]
    assert made[0] == made[1]
    assert plada("decode", "-", stdin=made[0]).stdout == (tmp_path / "t.csv").read_bytes()
