"""From a federation to a payload, as a user calls it, on real images, with a tiny backbone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("flwr")

import plada_format as pf
from plada_format.cli.main import main
from plada_format.manifest import Manifest

POOL = f"npz:{Path(__file__).resolve().parents[1] / 'data' / 'pool_2k.npz'}"


@pytest.mark.slow
def test_clients_make_a_payload_together(tmp_path, task_spec, capsys):
    import torch

    from plada_train import build_manifest, load_checkpoint, open_source

    torch.manual_seed(0)  # of the backbone's random weights
    manifest, out = tmp_path / "pool.pladapool", tmp_path / "out"
    build_manifest(open_source(POOL), manifest, name="pool", progress=False)
    words = [
        "distill", "bridge", task_spec, "-o", out, "--pool", manifest, "--images", POOL, "--arch", "test_resnet",
        "--backbone", "none", "--input-size", 32, "--clients", 3, "--partition", "dirichlet:0.5", "--rounds", 4,
        "--local-epochs", 2, "--keep", "5%", "--quiet",
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    pool, data = Manifest.open(manifest), (out / "task.plada").read_bytes()
    payload = pf.decode(data, pool_size=len(pool), pool_fingerprint=pool.fingerprint)
    assert len(payload.indices) == 100 and f"{len(data):,} bytes, 100 images" in printed
    checkpoint = load_checkpoint(out / "teacher")
    assert payload.class_names == checkpoint.class_names
    found = re.search(r"teacher: (\S+) %.*\nbytes: \S+ down, (\S+) up", printed)
    assert found is not None
    assert float(found[1]) > 13  # random features of ten classes; chance is 10
    numbers = checkpoint.model.feature_dim * 10 + 10
    assert 4 * numbers * 3 * 4 < int(found[2].replace(",", "")) < 4 * numbers * 3 * 4 + 12 * 3000
