"""Orders of a pool: by key, by cluster; their manifests, and clients that hold the images in another order."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plada_format as pf
from plada_format.cli.main import main
from plada_format.errors import UserError
from plada_train.pool_order import OrderedSource, in_pool_order, order_by_cluster, order_by_key
from plada_train.sources import ImageSource

ROOT = Path(__file__).resolve().parents[2]
needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="faiss is not installed (plada[cluster])"
)


class Words(ImageSource):
    """Images that are their own names."""

    spec = "words"

    def __init__(self, keys: list[str], grouped: bool = False) -> None:
        self.keys, self.has_groups = keys, grouped

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        return self.keys[self._check(index)]

    def read(self, index: int) -> bytes:
        return self.keys[self._check(index)].encode()

    def group(self, index: int) -> str | None:
        return self.keys[index][0] if self.has_groups else None


def test_by_key_is_byte_order_and_folders_are_the_groups():
    source = Words(["b/2", "a/x", "b/10", "é/1", "B/1", "top", "a/b/c"])
    found = order_by_key(source)
    keys = [found.key(index) for index in range(len(found))]
    assert keys == sorted(source.keys, key=str.encode) == ["B/1", "a/b/c", "a/x", "b/10", "b/2", "top", "é/1"]
    assert [found.group(index) for index in range(7)] == ["B", "a/b", "a", "b", "b", "", "é"]
    assert found.read(4) == b"b/2"
    assert order_by_key(Words(["ab", "aa"], grouped=True)).group(0) == "a"


@given(st.permutations([f"{folder}/{number}" for folder in "abc" for number in range(4)]))
@settings(max_examples=25, deadline=None)
def test_the_key_order_does_not_depend_on_the_source(keys):
    found = order_by_key(Words(list(keys)))
    assert [found.key(index) for index in range(12)] == sorted(keys)
    assert found.spec != "words"


def test_refused_orders():
    source = Words(["a", "b", "c"])
    for order in ([0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1]):
        with pytest.raises(UserError, match="each of the 3 images once"):
            OrderedSource(source, np.array(order))
    with pytest.raises(UserError, match="need as many names"):
        OrderedSource(source, np.arange(3), np.array([0, 2]), ["one"])
    with pytest.raises(UserError, match="have the key"):
        order_by_key(Words(["a", "b", "a"]))


def test_the_spec_tells_orders_apart():
    """A killed build must not go on with parts of another order."""
    source = Words(["a", "b", "c"])
    specs = {OrderedSource(source, np.array(order)).spec for order in ([0, 1, 2], [2, 1, 0])}
    specs.add(OrderedSource(source, np.array([2, 1, 0]), np.array([0, 1]), ["x", "y"]).spec)
    assert len(specs) == 3


def build(tmp_path: Path, source: ImageSource) -> pf.Manifest:
    from plada_train import build_manifest

    path = tmp_path / "pool.pladapool"
    build_manifest(source, path, name="pool", overwrite=True, progress=False)
    return pf.Manifest.open(path)


def test_a_client_with_another_order_finds_its_images(tmp_path: Path):
    from plada_train import resolve_keys, verify_pool

    source = Words(["b/2", "a/1", "c/9", "a/0"])
    manifest = build(tmp_path, order_by_key(source))
    assert list(manifest.group_names) == ["a", "b", "c"]
    assert manifest.group_starts.tolist() == [0, 2, 3]
    assert resolve_keys(source, manifest, np.arange(4)).tolist() == [3, 1, 0, 2]
    assert verify_pool(source, manifest, progress=False).ok
    ordered = in_pool_order(source, manifest)
    assert [ordered.key(index) for index in range(4)] == ["a/0", "a/1", "b/2", "c/9"]
    assert in_pool_order(ordered, manifest) is ordered
    more = Words([*source.keys, "d/1"])
    assert [in_pool_order(more, manifest).key(index) for index in range(4)] == ["a/0", "a/1", "b/2", "c/9"]
    with pytest.raises(UserError, match="1 of the pool's 4 images are missing"):
        in_pool_order(Words(source.keys[:3]), manifest)


def blobs(groups: int = 12, each: int = 30, dims: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated clusters in a shuffled order: features and the true cluster of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, dims)) * 10
    truth = rng.permutation(np.repeat(np.arange(groups), each))
    return (centres[truth] + rng.normal(size=(len(truth), dims))).astype(np.float32), truth


@needs_faiss
def test_clusters_lie_together_and_are_the_same_each_time():
    from plada_train.clusters import cluster_order

    features, truth = blobs()
    found = cluster_order(features, group_size=30)
    assert sorted(found.order.tolist()) == list(range(len(truth)))
    starts = found.starts.astype(np.int64)
    assert starts[0] == 0 and (np.diff(starts) > 0).all() and starts[-1] < len(truth)
    ordered = truth[found.order]
    assert (ordered[1:] == ordered[:-1]).mean() > 0.9  # 0.08 in the order given
    for part in np.split(found.order, starts[1:]):
        assert (np.diff(part) > 0).all()  # the source's order inside a group
    again = cluster_order(features, group_size=30)
    assert np.array_equal(again.order, found.order) and np.array_equal(again.starts, found.starts)


@needs_faiss
@pytest.mark.parametrize("count", [1, 2, 7])
def test_tiny_pools(count):
    from plada_train.clusters import cluster_order

    found = cluster_order(np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32), group_size=2)
    assert sorted(found.order.tolist()) == list(range(count))


def test_refused_features():
    from plada_train.clusters import cluster_order

    with pytest.raises(UserError, match="at least 2"):
        cluster_order(np.zeros((5, 3), np.float32), group_size=1)
    with pytest.raises(UserError, match="not finite"):
        cluster_order(np.full((5, 3), np.nan, np.float32))
    with pytest.raises(UserError, match="matrix"):
        cluster_order(np.zeros(5, np.float32))
    with pytest.raises(UserError, match="no images"):
        cluster_order(np.zeros((0, 3), np.float32))
    with pytest.raises(UserError, match="features of 4"):
        order_by_cluster(Words(["a"]), np.zeros((4, 2), np.float32))


@given(st.integers(1, 12), st.integers(0, 5))
def test_a_path_visits_each_centre_once(count, seed):
    from plada_train.clusters import path

    centres = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    assert sorted(path(centres)) == sorted(path(centres, centres[0])) == list(range(count))
    assert path(centres, centres[-1])[0] == count - 1


@needs_faiss
def test_the_command_builds_a_clustered_pool_that_a_client_can_use(tmp_path: Path):
    from plada_train import open_source

    images = ROOT / "tests" / "data" / "pool_2k.npz"
    features = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    np.save(tmp_path / "f.npy", features)
    path = tmp_path / "pool.pladapool"
    line = ["pool", "build", images, path, "--order", "cluster", "--features", tmp_path / "f.npy", "--quiet"]
    assert main([str(part) for part in [*line, "--group-size", 100]]) == 0
    manifest, source = pf.Manifest.open(path), open_source(str(images))
    assert 10 < len(manifest.group_names) < 40 and manifest.group_names[0] == "c00"
    assert main([str(part) for part in ["pool", "verify", images, path, "--quiet", "--no-resume"]]) == 0
    ordered = in_pool_order(source, manifest)
    sample = np.arange(0, 2000, 97)
    assert [ordered.image_digest(i) for i in sample] == [row.tobytes() for row in manifest.digests(sample)]
    assert ordered.key(0) != source.key(0) or ordered.key(1) != source.key(1)


@pytest.mark.parametrize(
    "flags, text",
    [
        (["--order", "cluster", "--no-groups"], "makes the groups"),
        (["--features", "x.npy"], "--order cluster"),
        (["--order", "cluster", "--features", "bad.npy"], "not a readable npy file"),
    ],
)
def test_bad_flags(tmp_path: Path, flags: list[str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    images = ROOT / "tests" / "data" / "pool_2k.npz"
    assert main(["pool", "build", str(images), "m.pladapool", *flags]) == 1
    error = capsys.readouterr().err.strip()
    assert text in error and "\n" not in error
    assert not (tmp_path / "m.pladapool").exists()


def test_features_of_a_pool_lie_in_blocks_and_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    from plada_train import SubsetSource, extract_features, features, load_model, open_source
    from plada_train.block_features import BlockFeatures

    torch.manual_seed(0)
    model = load_model("test_resnet", "none", num_classes=0, input_size=32)
    source = SubsetSource(open_source(str(ROOT / "tests" / "data" / "pool_2k.npz")), np.arange(150))
    wanted = extract_features(model, source, progress=False).values
    blocks = BlockFeatures(tmp_path, model, source, rows=64)
    real, calls = features.extract_features, []

    def counted(given, images, chosen, **options):
        calls.append(len(chosen))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(given, images, chosen, **options)

    monkeypatch.setattr(features, "extract_features", counted)
    with pytest.raises(KeyboardInterrupt):
        blocks.compute(progress=False)
    assert BlockFeatures(tmp_path, model, source, rows=64).compute(progress=False).shape == wanted.shape
    assert calls == [64, 64, 64, 22]  # the first block only once
    some = np.array([149, 3, 70, 3])
    for found, same in ((blocks[:], wanted), (blocks[60:70], wanted[60:70]), (blocks[some], wanted[some])):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, same, rtol=1e-3, atol=1e-3)
    assert np.asarray(blocks).shape == (150, model.feature_dim)
    blocks.path(1).write_bytes(b"nothing")
    with pytest.raises(UserError, match="remove it"):
        BlockFeatures(tmp_path, model, source, rows=64)[:]
