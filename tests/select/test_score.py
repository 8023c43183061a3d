"""Scoring real images: the numbers, resume after kill -9, shards, refusals."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from score_setup import CHUNK, CLASSES, context, pool_source, write_manifest, write_teacher

import plada_format as pf
from plada_format.errors import UserError
from plada_select.criteria import score_columns
from plada_select.pipeline import select_payload
from plada_select.safety_net import SafetyNet
from plada_select.score import parse_shard, reopen_context, score_chunk, score_pool
from plada_select.scoretable import COLUMNS, ScoreTable, merge, missing_chunks
from plada_select.select import Policy
from plada_select.soft import SoftLabelMoments, average_soft_labels, precision_text, softmax

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("setup")
    return write_manifest(pool_source(), folder / "pool.manifest"), write_teacher(folder / "teacher")


@pytest.fixture(scope="module")
def whole(setup: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    score_pool(context(folder, *setup), progress=False)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_scores_are_the_models_own(setup: tuple[Path, Path], whole: Path) -> None:
    """Against a plain loop: Pillow, the checkpoint's preprocessing by hand, one image at a time."""
    import torch

    from plada_train import Normalise, load_checkpoint

    table = ScoreTable.open(whole)
    columns = table.columns(*COLUMNS)
    checkpoint = load_checkpoint(setup[1])
    source = pool_source()
    from dataclasses import replace

    normalise = Normalise(replace(checkpoint.model.preprocess, source_size=64))
    for i in (0, 1, 99, 100, 449):
        pixels = np.asarray(Image.open(io.BytesIO(source.read(i))).convert("RGB"))
        with torch.no_grad():
            logits = checkpoint.model.module(normalise(torch.from_numpy(pixels.copy())[None])).numpy()
        want = score_columns(logits)
        assert columns["label"][i] == want["label"][0]
        for name in ("energy", "entropy", "max_logit", "margin"):
            assert columns[name][i] == pytest.approx(want[name][0], abs=1e-4), name
    assert len(np.unique(columns["label"])) > 1
    assert (columns["status"] <= 1).all()  # plain RGB or grey
    assert table.task["class_names"] == list(CLASSES)
    assert table.provenance.num_chunks == 5


def test_batches_threads_and_processes_give_the_same_bytes(
    setup: tuple[Path, Path], whole: Path, tmp_path: Path
) -> None:
    for name, options in {"threads": {"threads": 3}, "processes": {"workers": 2}}.items():
        score_pool(context(tmp_path / name, *setup, **options), progress=False)
        assert files(tmp_path / name) == files(whole), name


def test_killed_run_resumes_to_the_same_bytes(setup: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    code = (
        "import sys, os; sys.path[:0] = [sys.argv[4], sys.argv[5]]\n"
        "import torch; torch.set_num_threads(1)\n"
        "from pathlib import Path; from score_setup import *; from plada_select.score import score_chunk, score_pool\n"
        "c = context(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "score_chunk(c, 0); print('one', flush=True)\n"
        "import time\n"
        "seen = [0]\n"
        "def slow(n): seen[0] += n; time.sleep(0.2)\n"
        "c.on_images = slow\n"
        "for i in range(1, 5): score_chunk(c, i)\n"
    )
    table = tmp_path / "table"
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(table), *map(str, setup), str(ROOT), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"one\n"
    time.sleep(0.5)  # in the middle of a later chunk
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    run.stdout.close()
    again = context(table, *setup)
    left = missing_chunks(table, again.provenance)
    assert left
    assert 0 not in left
    reports = score_pool(again, progress=False)
    assert [report.chunk_id for report in reports] == left
    assert files(table) == files(whole)
    assert score_pool(context(table, *setup), progress=False) == []


def test_four_shards_give_the_same_table_and_payload(setup: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    parts = []
    for i in range(4):
        reports = score_pool(context(tmp_path / f"{i}", *setup, sharded=True), shard=(i, 4), progress=False)
        assert [report.chunk_id for report in reports] == list(range(i, 5, 4))
        parts.append(tmp_path / f"{i}")
    merged = merge(parts, tmp_path / "merged")
    assert files(merged) == files(whole)
    policy = Policy(safety_net=SafetyNet())
    first, second = (select_payload(ScoreTable.open(f), policy, budget=500).data for f in (merged, whole))
    assert first == second


def test_precision_is_recorded_and_never_mixed(setup: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    low = context(tmp_path / "low", *setup, dtype="bfloat16")
    score_chunk(low, 0)
    assert low.provenance.dtype == "bfloat16"
    with pytest.raises(UserError, match="dtype"):
        context(whole, *setup, dtype="bfloat16")
    with pytest.raises(UserError, match="dtype"):
        merge([whole, tmp_path / "low"], tmp_path / "both")
    # "auto" goes on with what the table has
    assert context(tmp_path / "low", *setup, dtype="auto").provenance.dtype == "bfloat16"


def test_other_settings_are_refused(setup: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    other = write_teacher(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="teacher_digest"):
        context(whole, setup[0], other)
    with pytest.raises(UserError, match="temperature"):
        context(whole, *setup, temperature=2.0)
    with pytest.raises(UserError, match="batch_size"):
        context(whole, *setup, batch_size=16)


def test_another_pool_is_refused(setup: tuple[Path, Path], whole: Path, tmp_path: Path) -> None:
    short = pool_source(300)
    with pytest.raises(UserError, match="300 images, the pool manifest 450"):
        context(tmp_path / "a", *setup, source=short)
    manifest = write_manifest(short, tmp_path / "short.manifest")
    with pytest.raises(UserError, match="pool_"):
        context(whole, manifest, setup[1], source=short)


def test_a_changed_image_is_found(setup: tuple[Path, Path], tmp_path: Path) -> None:
    from plada_train import SubsetSource

    order = np.arange(450)
    order[[130, 131]] = [131, 130]
    swapped = SubsetSource(pool_source(), order)
    job = context(tmp_path / "a", *setup, source=swapped)
    score_chunk(job, 0)
    with pytest.raises(UserError, match=r"pool image 130 .* differs from the manifest"):
        score_chunk(job, 1)
    assert missing_chunks(tmp_path / "a", job.provenance) == [1, 2, 3, 4]
    unchecked = context(tmp_path / "b", *setup, source=swapped, check_digests=False)
    assert score_chunk(unchecked, 1).rows == CHUNK


@pytest.fixture
def odd_pool(tmp_path: Path) -> tuple[Any, Path]:
    """A folder of images with empty, broken, grey and one-pixel files."""
    folder = tmp_path / "images"
    folder.mkdir()
    good = pool_source(12)
    for i in range(12):
        (folder / f"{i:02d}.jpg").write_bytes(good.read(i))
    (folder / "03.jpg").write_bytes(b"")
    (folder / "05.jpg").write_bytes(good.read(5)[:200])
    (folder / "07.jpg").write_bytes(b"no image")
    Image.new("L", (1, 1), 200).save(folder / "09.jpg")
    from plada_train import open_source

    source = open_source(f"folder:{folder}")
    return source, write_manifest(source, tmp_path / "odd.manifest")


def test_unreadable_images_are_marked_and_never_selected(
    odd_pool: tuple[Any, Path], setup: tuple[Path, Path], tmp_path: Path
) -> None:
    source, manifest = odd_pool
    job = context(tmp_path / "t", manifest, setup[1], source=source)
    reports = score_pool(job, progress=False)
    assert [report.unusable for report in reports] == [3]
    table = ScoreTable.open(tmp_path / "t")
    columns = table.columns(*COLUMNS)
    bad = columns["status"] >= 128
    assert np.flatnonzero(bad).tolist() == [3, 5, 7]
    assert columns["status"][9] == 1  # grey
    assert np.isnan(columns["energy"][bad]).all()
    outcome = select_payload(table, Policy(), keep="100%")
    assert outcome.selection.indices.tolist() == [0, 1, 2, 4, 6, 8, 9, 10, 11]
    assert any("unreadable 3" in line for line in outcome.warnings)


def test_images_of_another_size_are_scored_as_they_are(setup: tuple[Path, Path], tmp_path: Path) -> None:
    """One image of another size among many squares of one size, and not where the sizes are sampled."""
    import torch

    from plada_train import Normalise, load_checkpoint, open_source
    from plada_train.preprocess import square

    folder, good = tmp_path / "images", pool_source(130)
    folder.mkdir()
    for i in range(130):
        (folder / f"{i:03d}.jpg").write_bytes(good.read(i))
    large = Image.open(io.BytesIO(good.read(3))).convert("RGB").resize((150, 120))
    large.save(folder / "003.jpg", quality=95)
    source = open_source(f"folder:{folder}")
    job = context(tmp_path / "t", write_manifest(source, tmp_path / "m"), setup[1], source=source)
    assert job.predictor.preprocess.source_size == 64  # it was not noticed beforehand
    score_chunk(job, 0)
    rule = load_checkpoint(setup[1]).model.preprocess
    pixels, _ = square(source.read(3), rule)
    assert pixels is not None and pixels.shape == (96, 96, 3)
    with torch.no_grad():
        logits = job.predictor.forward(Normalise(rule)(torch.from_numpy(pixels.copy())[None])).numpy()
    from plada_select.scoretable import chunk_name
    from plada_select.tensorfile import TensorFile

    found = TensorFile.open(tmp_path / "t" / chunk_name(0)).read(["energy", "label"])
    wanted = score_columns(logits)
    assert found["energy"][3] == pytest.approx(wanted["energy"][0], abs=1e-4)
    assert found["label"][3] == wanted["label"][0]
    assert found["energy"][3] != pytest.approx(found["energy"][2], abs=1e-4)


def test_one_image_pool(setup: tuple[Path, Path], tmp_path: Path) -> None:
    source = pool_source(1)
    manifest = write_manifest(source, tmp_path / "one.manifest")
    score_pool(context(tmp_path / "t", manifest, setup[1], source=source), progress=False)
    payload = pf.decode(select_payload(ScoreTable.open(tmp_path / "t"), Policy(), keep="100%").data)
    assert payload.indices.tolist() == [0]


def test_empty_pool(setup: tuple[Path, Path], tmp_path: Path) -> None:
    source = pool_source(0)
    manifest = write_manifest(source, tmp_path / "none.manifest")
    with pytest.raises(UserError, match="no images"):
        context(tmp_path / "t", manifest, setup[1], source=source)


def test_compile_trial_falls_back(setup: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def broken(module: Any, **_: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    job = context(tmp_path / "auto", *setup, compile_model="auto")
    assert job.provenance.compiled is False
    score_chunk(job, 0)
    with pytest.raises(UserError, match=r"torch\.compile failed .*no compiler here.*--compile off"):
        context(tmp_path / "on", *setup, compile_model="on")
    # shards must agree: no trial for them; and a table that exists has decided
    assert context(tmp_path / "shard", *setup, compile_model="auto", sharded=True).provenance.compiled is False
    assert context(tmp_path / "auto", *setup, compile_model="auto").provenance.compiled is False


def test_meter_tells_loader_and_model_apart(setup: tuple[Path, Path], tmp_path: Path) -> None:
    job = context(tmp_path, *setup)
    score_chunk(job, 0)
    assert job.meter.images == CHUNK
    assert job.meter.loading > 0
    assert 0 <= job.meter.waiting < job.meter.wall
    line = job.meter.line()
    assert [part.split()[0] for part in line.split(", ")] == ["loader", "model", "together"]
    assert all(float(part.split()[1]) > 0 for part in line.split(", "))


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "a/b", "1/0", "1/2/3"])
def test_bad_shards(text: str) -> None:
    with pytest.raises(UserError, match="shard"):
        parse_shard(text)
    assert parse_shard("3/4") == (3, 4)


@pytest.mark.parametrize("options", [{"dtype": "float16"}, {"compile_model": "maybe"}, {"batch_size": 0}])
def test_bad_settings(setup: tuple[Path, Path], tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        context(tmp_path / "t", *setup, **options)
    assert not (tmp_path / "t").exists()


def test_soft_labels_are_the_average_over_kept_images(setup: tuple[Path, Path], whole: Path) -> None:
    import torch

    from plada_train import Normalise, load_checkpoint

    table = ScoreTable.open(whole)
    outcome = select_payload(table, Policy(), count=40)
    chosen = outcome.selection
    checkpoint = load_checkpoint(setup[1])
    job = reopen_context(pool_source(), pf.Manifest.open(setup[0]), checkpoint, whole)
    moments = average_soft_labels(job, chosen.indices, chosen.labels)
    soft = moments.averages()
    assert soft.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    from dataclasses import replace

    normalise = Normalise(replace(checkpoint.model.preprocess, source_size=64))
    source = pool_source()
    c = int(chosen.labels[0])
    rows = []
    for i in chosen.indices[chosen.labels == c]:
        pixels = np.asarray(Image.open(io.BytesIO(source.read(int(i)))).convert("RGB")).copy()
        with torch.no_grad():
            rows.append(softmax(checkpoint.model.module(normalise(torch.from_numpy(pixels)[None])).numpy())[0])
    assert soft[c] == pytest.approx(np.mean(rows, axis=0), abs=1e-5)
    for empty in set(range(5)) - set(chosen.labels.tolist()):
        assert soft[empty].tolist() == np.eye(5)[empty].tolist()
    other = write_teacher(whole.parent / "other_teacher", seed=3)
    with pytest.raises(UserError, match="another teacher"):
        reopen_context(pool_source(), pf.Manifest.open(setup[0]), load_checkpoint(other), whole)


def test_dirichlet_precision_recovers_a_known_one() -> None:
    rng = np.random.default_rng(0)
    alpha = np.array([6.0, 3.0, 1.0])
    moments = SoftLabelMoments(3)
    moments.add(rng.dirichlet(alpha, 20_000), np.zeros(20_000, np.uint16))
    assert moments.precision()[0] == pytest.approx(10, rel=0.05)
    assert moments.averages()[0] == pytest.approx(alpha / 10, abs=0.01)
    assert moments.precision()[1] >= 0.1
    assert precision_text(moments).count(",") == 2
