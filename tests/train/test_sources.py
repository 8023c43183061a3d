"""Order, keys, groups and bytes of every kind of source, and what each says about damaged input."""

from __future__ import annotations

import functools
import http.server
import io
import json
import pickle
import re
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plada_format.cli.main import main
from plada_format.errors import UserError
from plada_train import SubsetSource, open_source
from plada_train.sources import FolderSource, ImageSource, split_spec
from plada_train.sources.paths import expand


def fill(root: Path, names: list[str], images: list[bytes]) -> dict[str, bytes]:
    content = {}
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images[number % len(images)] + b"")
        content[name] = images[number % len(images)]
    return content


def write_tar(path: Path, members: list[tuple[str, bytes]], format: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def write_parquet(
    path: Path, images: list[bytes], labels: list[int] | None = None, names: list[str] | None = None
) -> None:
    columns = {"image": pa.array([{"bytes": data, "path": f"{n}.jpg"} for n, data in enumerate(images)])}
    metadata = {}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
        metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=7)


def check_contract(source: ImageSource, expected: list[tuple[str, bytes]]) -> None:
    """What every source must do, in threads and after pickling."""
    assert len(source) == len(expected)
    assert [source.key(index) for index in range(len(source))] == [key for key, _ in expected]
    copy = pickle.loads(pickle.dumps(source))
    order = np.random.default_rng(0).permutation(len(source)).tolist()
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(copy.read, order)) == [expected[index][1] for index in order]
    assert [source.read(index) for index in order] == [expected[index][1] for index in order]
    for index in (-1, len(source)):
        with pytest.raises(IndexError):
            source.read(index)
    keys = [key for key, _ in expected]
    assert source.find([keys[-1], "no such key", keys[0]]).tolist() == [len(keys) - 1, -1, 0]


HARD_NAMES = [
    "b/img10.jpg",
    "b/img2.jpg",
    "B/x.png",
    "a-b/1.jpg",
    "a/1.jpg",
    "a/c/z.jpg",
    "a/d.jpg",
    "é/ü.webp",
    "a.jpg",
    "Z.GIF",
]


def test_folder_is_in_byte_order_of_the_whole_path(tmp_path: Path, pool_images: list[bytes]) -> None:
    content = fill(tmp_path, HARD_NAMES, pool_images)
    fill(tmp_path, [".hidden.jpg", ".git/x.jpg", "notes.txt", "a/.x.png", "a/labels.csv"], pool_images)
    source = open_source(f"folder:{tmp_path}")
    assert isinstance(source, FolderSource)
    check_contract(source, sorted(content.items(), key=lambda pair: pair[0].encode()))
    assert source.has_groups
    assert [source.group(index) for index in range(3)] == ["B", "", "a-b"]
    assert split_spec(str(tmp_path)) == ("folder", str(tmp_path))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(
        st.lists(st.text("aB-.0é~", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join),
        min_size=1,
        max_size=12,
    )
)
def test_folder_order_equals_sorting_all_paths(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    root = tmp_path_factory.mktemp("order")
    made = []
    for name in names:
        parts = name.split("/")
        if any(part.startswith(".") for part in parts):
            continue
        path = root / f"{name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            continue
        made.append(f"{name}.png")
    if made:
        source = FolderSource(str(root))
        assert [source.key(index) for index in range(len(source))] == sorted(set(made), key=str.encode)


def test_flat_folder_has_no_groups(tmp_path: Path, pool_images: list[bytes]) -> None:
    fill(tmp_path, ["1.jpg", "2.jpg"], pool_images)
    source = open_source(str(tmp_path))
    assert not source.has_groups and source.group(0) is None


def test_folder_key_is_normal_form_c_and_file_is_found(tmp_path: Path, pool_images: list[bytes]) -> None:
    decomposed = "cafe\u0301.jpg"
    (tmp_path / decomposed).write_bytes(pool_images[0])
    source = open_source(f"folder:{tmp_path}")
    assert source.key(0) == "caf\u00e9.jpg" and source.read(0) == pool_images[0]
    (tmp_path / "caf\u00e9.jpg").write_bytes(pool_images[1])
    with pytest.raises(UserError, match="normal form"):
        open_source(f"folder:{tmp_path}")


def test_folder_name_that_is_no_text(tmp_path: Path) -> None:
    try:
        (tmp_path / b"\xff.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has only Unicode names")
    with pytest.raises(UserError, match="UTF-8"):
        open_source(f"folder:{tmp_path}")


def test_folder_link_to_itself_is_an_error_and_not_a_loop(tmp_path: Path, pool_images: list[bytes]) -> None:
    fill(tmp_path, ["a/1.jpg"], pool_images)
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    with pytest.raises(UserError, match="link"):
        open_source(f"folder:{tmp_path}")


def test_folder_empty_or_absent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image"):
        open_source(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="no such folder"):
        open_source(f"folder:{tmp_path / 'x'}")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_shards(tmp_path: Path, pool_images: list[bytes], format: int) -> None:
    long = "d" * 60 + "/" + "e" * (30 if format == tarfile.USTAR_FORMAT else 120) + ".jpg"
    names = [["00000001.jpg", "./00000002.png", "sub/3.jpg"], ["00000001.jpg", long, "z.webp"]]
    expected = []
    for number, members in enumerate(names):
        content = [(name, pool_images[number * 10 + place]) for place, name in enumerate(members)]
        noise = [("00000001.json", b"{}"), ("00000001.cls", b"7"), ("readme", b"x" * 700), (".hid.jpg", b"x")]
        write_tar(tmp_path / f"shard-{number:03d}.tar", content[:1] + noise + content[1:], format)
        expected += [(f"shard-{number:03d}/{name.removeprefix('./')}", data) for name, data in content]
    source = open_source(f"tar:{tmp_path}/shard-{{000..001}}.tar")
    check_contract(source, expected)
    assert source.group(2) == "sub" and source.group(0) == ""
    check_contract(open_source(f"wds:{tmp_path}"), expected)


def test_tar_takes_no_links_and_devices(tmp_path: Path, pool_images: list[bytes]) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"{kind.decode()}.jpg")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
        entry = tarfile.TarInfo("real.jpg")
        entry.size = len(pool_images[0])
        tar.addfile(entry, io.BytesIO(pool_images[0]))
    source = open_source(str(path))
    assert [source.key(index) for index in range(len(source))] == ["x/real.jpg"]
    assert source.group(0) == "x"  # no folder inside: the shard is the group


def test_tar_damage_is_named(tmp_path: Path, pool_images: list[bytes]) -> None:
    path = tmp_path / "x.tar"
    write_tar(path, [(f"{number}.jpg", data) for number, data in enumerate(pool_images[:3])])
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    with pytest.raises(UserError, match=r"x\.tar: truncated"):
        open_source(str(path))
    path.write_bytes(whole[:10] + b"!" + whole[11:])
    with pytest.raises(UserError, match="byte 0"):
        open_source(str(path))
    import gzip

    path.write_bytes(gzip.compress(whole))
    with pytest.raises(UserError, match="compressed"):
        open_source(str(path))
    write_tar(path, [("1.jpg", b"a"), ("1.jpg", b"b")])
    with pytest.raises(UserError, match="twice"):
        open_source(str(path))
    write_tar(path, [("1.txt", b"a")])
    with pytest.raises(UserError, match="no image"):
        open_source(str(path))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tar_never_gives_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("1.jpg", "n" * 150 + ".png", "é.jpg"):
            entry = tarfile.TarInfo(name)
            entry.size = 30
            tar.addfile(entry, io.BytesIO(bytes(30)))
    raw = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 5000))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        source = open_source(f"tar:{path}")
        for index in range(len(source)):
            source.read(index), source.key(index).encode()
    except (UserError, OSError):
        pass


def test_parquet(tmp_path: Path, pool_images: list[bytes]) -> None:
    write_parquet(tmp_path / "a-0.parquet", pool_images[:20])
    write_parquet(tmp_path / "a-1.parquet", pool_images[20:33])
    expected = [(f"a-0/{row:08d}", pool_images[row]) for row in range(20)]
    expected += [(f"a-1/{row:08d}", pool_images[20 + row]) for row in range(13)]
    source = open_source(f"parquet:{tmp_path}/a-*.parquet")
    check_contract(source, expected)
    assert not source.has_groups
    pq.write_table(pa.table({"img": pa.array(pool_images[:3], pa.binary())}), tmp_path / "plain.parquet")
    assert open_source(str(tmp_path / "plain.parquet")).read(2) == pool_images[2]


def test_parquet_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 no parquet at all")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        open_source(str(path))
    pq.write_table(pa.table({"label": [1]}), path)
    with pytest.raises(UserError, match="image column"):
        open_source(str(path))
    pq.write_table(
        pa.table(
            {
                "image": pa.array(
                    [{"bytes": None, "path": "/etc/passwd"}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
                )
            }
        ),
        path,
    )
    with pytest.raises(OSError, match="row 0"):
        open_source(str(path)).read(0)


def test_packed(tmp_path: Path, pool_images: list[bytes]) -> None:
    for number in range(2):
        part = pool_images[number * 5 : number * 5 + 5]
        offsets = np.cumsum([0] + [len(data) for data in part]).astype(np.uint32)
        np.savez_compressed(tmp_path / f"s{number}.npz", data=np.frombuffer(b"".join(part), np.uint8), offsets=offsets)
    expected = [(f"s{index // 5}/{index % 5:08d}", pool_images[index]) for index in range(10)]
    check_contract(open_source(f"npz:{tmp_path}/s*.npz"), expected)
    check_contract(open_source(str(tmp_path)), expected)


def test_packed_with_groups(tmp_path: Path, pool_images: list[bytes]) -> None:
    offsets = np.cumsum([0] + [len(data) for data in pool_images[:4]])
    np.savez(
        tmp_path / "g.npz",
        data=np.frombuffer(b"".join(pool_images[:4]), np.uint8),
        offsets=offsets,
        group=np.array([0, 0, 1, 1], np.uint16),
        group_names=np.array(["dogs", "cats"]),
    )
    source = open_source(str(tmp_path / "g.npz"))
    assert source.has_groups and [source.group(index) for index in range(4)] == ["dogs", "dogs", "cats", "cats"]


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": np.zeros(3)}, "offsets"),
        ({"data": np.zeros(3, np.uint8), "offsets": np.array([0, 5, 2])}, "rise"),
        ({"data": np.zeros(3, np.uint8), "offsets": np.array([1, 3])}, "begin with 0"),
        ({"data": np.zeros(3, np.uint8), "offsets": np.array([0.0, 3])}, "integers"),
        ({"offsets": np.array([{}], dtype=object)}, "npz"),
    ],
)
def test_packed_bad_arrays(tmp_path: Path, arrays: dict[str, np.ndarray], match: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=match):
        open_source(str(tmp_path / "x.npz"))


def test_packed_never_unpickles(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(pickle.dumps({"offsets": [0, 1]}))
    with pytest.raises(UserError, match="npz"):
        open_source(str(tmp_path / "x.npz"))


def test_packed_data_shorter_than_offsets(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.zeros(3, np.uint8), offsets=np.array([0, 4]))
    with pytest.raises(OSError, match="'offsets' end at 4"):
        open_source(str(tmp_path / "x.npz")).read(0)


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/pool", recursive=True)


def test_remote_folder_equals_local(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, pool_images: list[bytes]
) -> None:
    content = fill(tmp_path, HARD_NAMES, pool_images)
    for name, data in content.items():
        memory.pipe(f"/pool/f/{name}", data)
    check_contract(open_source("folder:memory://pool/f"), sorted(content.items(), key=lambda pair: pair[0].encode()))


def test_remote_tar_parquet_and_packed(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, pool_images: list[bytes]
) -> None:
    write_tar(tmp_path / "t.tar", [(f"{number}.jpg", data) for number, data in enumerate(pool_images[:5])])
    write_parquet(tmp_path / "p.parquet", pool_images[:5])
    offsets = np.cumsum([0] + [len(data) for data in pool_images[:5]])
    np.savez(tmp_path / "n.npz", data=np.frombuffer(b"".join(pool_images[:5]), np.uint8), offsets=offsets)
    for name in ("t.tar", "p.parquet", "n.npz"):
        memory.pipe(f"/pool/{name}", (tmp_path / name).read_bytes())
        local, remote = open_source(str(tmp_path / name)), open_source(f"memory://pool/{name}")
        check_contract(remote, [(local.key(index), local.read(index)) for index in range(5)])


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and parts of files as object stores do, unless told not to."""

    ranges = True

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if self.path.startswith("/broken"):
            self.send_error(500)
            return
        if not (self.ranges and wanted and path.is_file()):
            super().do_GET()
            return
        data = path.read_bytes()
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(data[first : last + 1])


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(URL, folder that it serves)."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(_Ranges, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_web_server(web: tuple[str, Path], pool_images: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same keys, order and bytes over HTTP as from the disk."""
    url, folder = web
    fill(folder, ["f/b.jpg", "f/a b/2.jpg", "f/a b/ü#3%.jpg", "f/a.jpg", "f/.hidden.jpg"], pool_images)
    write_tar(folder / "t.tar", [(f"{number}.jpg", data) for number, data in enumerate(pool_images[:5])])
    write_parquet(folder / "p.parquet", pool_images[:5])
    for local, remote in (
        (f"folder:{folder}/f", f"folder:{url}/f"),
        (f"{folder}/t.tar", f"{url}/t.tar"),
        (f"{folder}/p.parquet", f"{url}/p.parquet"),
    ):
        here = open_source(local)
        check_contract(open_source(remote), [(here.key(index), here.read(index)) for index in range(len(here))])
    with pytest.raises(OSError, match=r"no\.tar"):
        open_source(f"{url}/no.tar")
    with pytest.raises(OSError, match="500"):
        open_source(f"{url}/broken.tar")
    monkeypatch.setattr(_Ranges, "ranges", False)
    with pytest.raises(OSError, match=r"t\.tar: the server gives whole files only"):
        open_source(f"{url}/t.tar")


def test_pool_on_a_web_server(web: tuple[str, Path], pool_images: list[bytes], tmp_path: Path) -> None:
    """A manifest of local images is that of the same images behind a URL."""
    url, folder = web
    fill(folder, [f"f/g{number % 3}/{number}.jpg" for number in range(12)], pool_images)
    for name, spec in (("a", f"folder:{folder}/f"), ("b", f"folder:{url}/f")):
        assert main(["pool", "build", spec, f"{tmp_path}/{name}.pladapool", "--name", "p", "--quiet"]) == 0
    assert (tmp_path / "a.pladapool").read_bytes() == (tmp_path / "b.pladapool").read_bytes()
    assert main(["pool", "verify", f"folder:{url}/f", f"{tmp_path}/a.pladapool", "--quiet"]) == 0


def test_unknown_protocol_is_one_line() -> None:
    with pytest.raises(UserError, match="nosuch"):
        open_source("folder:nosuch://bucket/x")


def test_expand(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar", "x.txt"):
        (tmp_path / name).touch()
    assert [Path(name).name for name in expand(str(tmp_path), (".tar",))] == ["a.tar", "b.tar"]
    assert [Path(name).name for name in expand(f"{tmp_path}/b.tar,{tmp_path}/a.tar", (".tar",))] == ["b.tar", "a.tar"]
    for bad in (
        f"{tmp_path}/c.tar",
        f"{tmp_path}/q*.tar",
        f"{tmp_path}/a.tar,{tmp_path}/a.tar",
        f"{tmp_path}/{{9..1}}.tar",
    ):
        with pytest.raises(UserError):
            expand(bad, (".tar",))


def test_spec_that_says_nothing() -> None:
    for bad in ("", "folder:", "what", "npz:"):
        with pytest.raises(UserError):
            open_source(bad)


def test_subset(pool_spec: str) -> None:
    whole = open_source(pool_spec)
    part = SubsetSource(SubsetSource(whole, [5, 3, 9, 3]), np.array([3, 0]))
    assert part.source is whole and part.indices.tolist() == [3, 5]
    assert part.key(0) == whole.key(3) and part.read(1) == whole.read(5)
    for bad in ([-1], [2000], [[1]]):
        with pytest.raises(IndexError):
            SubsetSource(whole, bad)
    with pytest.raises(TypeError):
        SubsetSource(whole, np.array([0.5]))
