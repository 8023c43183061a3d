"""From a federation to a payload, on real images, with a tiny backbone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("flwr")

import plada_format as pf
from plada_distill.bridge import federated_payload
from plada_format.manifest import Manifest

POOL = f"npz:{Path(__file__).resolve().parents[1] / 'data' / 'pool_2k.npz'}"


@pytest.mark.slow
def test_clients_make_a_payload_together(tmp_path, task_spec):
    import torch

    from plada_train import build_manifest, load_checkpoint, open_source

    torch.manual_seed(0)  # of the backbone's random weights
    manifest = tmp_path / "pool.pladapool"
    build_manifest(open_source(POOL), manifest, name="pool", progress=False)
    outcome = federated_payload(
        task_spec, tmp_path / "out", pool=str(manifest), images=POOL, arch="test_resnet", backbone="none",
        input_size=32, clients=3, partition="dirichlet:0.5", rounds=4, local_epochs=2, keep="5%", progress=False,
    )  # fmt: skip
    pool = Manifest.open(manifest)
    payload = pf.decode(outcome.payload.read_bytes(), pool_size=len(pool), pool_fingerprint=pool.fingerprint)
    assert len(payload.indices) == outcome.count == 100 and outcome.payload_bytes == outcome.payload.stat().st_size
    checkpoint = load_checkpoint(outcome.teacher)
    assert payload.class_names == checkpoint.class_names
    assert outcome.teacher_accuracy > 0.13  # random features of ten classes; chance is 0.10
    numbers = checkpoint.model.feature_dim * 10 + 10
    assert 4 * numbers * 3 * 4 < outcome.bytes_up < 4 * numbers * 3 * 4 + 12 * 3000
