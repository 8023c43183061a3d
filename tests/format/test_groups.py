"""The pool's groups as context: who needs them, what the header says, when they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plada_format as pf
from plada_format import ErrorCode
from plada_format.manifest import group_digest

GROUPS = np.arange(0, 20_000, 250)


def clustered(classes: int = 12, seed: int = 1) -> dict[str, Any]:
    """About 600 images of a pool of 20,000, most from a few groups of 250 that have one label each."""
    rng = np.random.default_rng(seed)
    rate = np.where(rng.random(len(GROUPS)) < 0.1, 0.3, 0.002)
    indices = np.flatnonzero(rng.random(20_000) < np.repeat(rate, 250))
    labels = rng.integers(classes, size=len(GROUPS))[indices // 250]
    return {"indices": indices, "labels": labels, "pool_size": 20_000, "num_classes": classes}


def code_of(call: Any, *arguments: Any, **settings: Any) -> ErrorCode:
    with pytest.raises(pf.PladaError) as caught:
        call(*arguments, **settings)
    assert caught.value.section in ("header", None)
    return caught.value.code


def test_groups_make_a_clustered_payload_smaller_and_are_named_in_the_header() -> None:
    content = clustered()
    alone, grouped = pf.encode(**content), pf.encode(**content, groups=GROUPS)
    assert len(grouped) < len(alone)
    header = pf.inspect(grouped)
    assert header.group_digest == group_digest(GROUPS)
    assert header.version == (1, 1)
    assert header.overhead <= 80
    assert pf.inspect(alone).group_digest is None
    assert pf.decode(grouped, groups=GROUPS) == pf.decode(alone)


def test_a_reader_without_the_groups_is_told_so() -> None:
    data = pf.encode(**clustered(), groups=GROUPS)
    assert code_of(pf.decode, data) is ErrorCode.GROUPS_REQUIRED
    assert code_of(pf.recode, data) is ErrorCode.GROUPS_REQUIRED
    assert code_of(pf.decode, data, groups=GROUPS[:-1]) is ErrorCode.GROUPS_MISMATCH
    assert code_of(pf.decode, data, pool_size=20_001) is ErrorCode.POOL_SIZE_MISMATCH  # comes first
    assert pf.inspect(data).count == pf.decode(data, groups=GROUPS.tolist()).header.count
    with pytest.raises(pf.PoolMismatchError):
        pf.decode(data)


def test_codecs_that_need_groups_are_refused_without() -> None:
    for codec in ("index_codec", "label_codec"):
        with pytest.raises(pf.PladaError, match="needs the pool's groups: pass groups"):
            pf.encode(**clustered(), **{codec: "adaptive-groups"})


def test_groups_that_do_not_pay_for_their_digest_are_left_out() -> None:
    rng = np.random.default_rng(3)
    indices = np.sort(rng.choice(20_000, 40, replace=False))
    content = {"indices": indices, "labels": rng.integers(3, size=40), "pool_size": 20_000, "num_classes": 3}
    assert pf.encode(**content, groups=GROUPS) == pf.encode(**content)


@given(st.integers(0, 50), st.integers(2, 40))
def test_with_groups_never_larger(seed: int, classes: int) -> None:
    content = clustered(classes, seed)
    assert len(pf.encode(**content, groups=GROUPS)) <= len(pf.encode(**content))


def test_recode_keeps_adds_and_removes_groups() -> None:
    alone, grouped = pf.encode(**clustered()), pf.encode(**clustered(), groups=GROUPS)
    assert pf.recode(grouped, groups=GROUPS) == grouped
    assert pf.recode(alone, groups=GROUPS) == alone  # codecs are kept
    assert pf.recode(alone, groups=[0, 30_000]) == alone  # groups without need are not looked at
    assert pf.recode(alone, index_codec="auto", label_codec="auto", groups=GROUPS) == grouped
    static = pf.recode(grouped, index_codec="auto", label_codec="auto", profile="baseline", groups=GROUPS)
    assert pf.inspect(static).group_digest is None and pf.inspect(static).version == (1, 0)
    assert pf.decode(static) == pf.decode(alone)


def manifest(folder: Path) -> Path:
    """A pool of 60 images in three groups."""
    path = folder / "pool.pladapool"
    with pf.ManifestBuilder(path, name="sixty") as pool:
        for number in range(60):
            pool.add(f"g{number // 20}/{number:02}", bytes([number]) * 32, f"g{number // 20}")
    return path


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from plada_format.cli.main import main

    pool, table, file = str(manifest(tmp_path)), tmp_path / "kept.csv", str(tmp_path / "task.plada")
    table.write_text("index,label\n" + "".join(f"{i},{i // 30}\n" for i in (*range(20), 41, 59)))
    arguments = ["encode", str(table), file, "--num-classes", "2", "--label-codec", "adaptive-groups"]
    assert main([*arguments, "--pool-size", "60", "--use-groups"]) == 1
    assert "--use-groups needs --manifest" in capsys.readouterr().err
    assert main([*arguments, "--manifest", pool]) == 1  # the codec needs what was not given
    assert main([*arguments, "--manifest", pool, "--use-groups", "--index-codec", "adaptive-groups"]) == 0
    assert main(["verify", file, "--manifest", pool]) == 0
    assert main(["verify", file, "--pool-size", "60"]) == 5
    assert "GROUPS_REQUIRED" in capsys.readouterr().err
    assert main(["decode", file, "--manifest", pool]) == 0
    assert "41,g2/41,1,1" in capsys.readouterr().out
    assert main(["info", file, "--json"]) == 0
    assert group_digest([0, 20, 40]).hex() in capsys.readouterr().out
    again, static = str(tmp_path / "again.plada"), str(tmp_path / "static.plada")
    assert main(["recode", file, again]) == 5
    assert main(["recode", file, again, "--manifest", pool]) == 0
    assert Path(again).read_bytes() == Path(file).read_bytes()
    assert main(["recode", file, static, "--manifest", pool, "--profile", "baseline"]) == 0
    assert main(["verify", static]) == 0


def test_a_manifest_without_groups_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from plada_format.cli.main import main

    pool = tmp_path / "plain.pladapool"
    with pf.ManifestBuilder(pool, name="plain") as builder:
        builder.add("a", bytes(32))
        builder.add("b", bytes(32))
    table = tmp_path / "kept.csv"
    table.write_text("index,label\n1,0\n")
    arguments = ["encode", str(table), str(tmp_path / "t.plada"), "--manifest", str(pool), "--num-classes", "2"]
    assert main([*arguments, "--use-groups"]) == 1
    assert "the pool has no groups; leave out --use-groups" in capsys.readouterr().err
