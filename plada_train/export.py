"""The joined dataset for other trainers: a Parquet file as Hugging Face reads it, a listing, or class folders."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write, sync_folder
from plada_format.errors import UserError

from .dataset import PayloadDataset
from .loader import progress_bar
from .sources import FolderSource, SubsetSource

_ROWS = 1000  # per row group
_ENDINGS = {
    b"\xff\xd8": ".jpg",
    b"\x89P": ".png",
    b"RI": ".webp",
    b"GI": ".gif",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
}


def export_parquet(data: PayloadDataset, path: Path | str, *, overwrite: bool = False, progress: bool = True) -> int:
    """Write images and labels as one Parquet file; returns the number of rows.

    Columns ``image`` (struct of ``bytes`` and ``path``), ``label`` (with class names), ``weight`` if the payload has
    weights.
    ``datasets.load_dataset("parquet", data_files=path)`` gives a dataset with ``Image`` and ``ClassLabel`` features.

    Raises:
        UserError: pyarrow is missing, or the file exists and ``overwrite`` is false.
        OSError: an image cannot be read, or the file cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Parquet export needs pyarrow (pip install 'plada[train]')") from None
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(data.class_names), "_type": "ClassLabel"},
    }
    fields = [
        pyarrow.field("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
        pyarrow.field("label", pyarrow.int64()),
    ]
    if data.weights is not None:
        features["weight"] = {"dtype": "float32", "_type": "Value"}
        fields.append(pyarrow.field("weight", pyarrow.float32()))
    schema = pyarrow.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})
    source, labels = data.images.source, data.images.labels
    with (
        progress_bar(len(data), "export", show=progress) as bar,
        atomic_write(path, overwrite=overwrite) as file,
        pyarrow.parquet.ParquetWriter(file, schema) as writer,
    ):
        for start in range(0, len(data), _ROWS):
            rows = range(start, min(start + _ROWS, len(data)))
            columns: list[Any] = [
                [{"bytes": source.read(row), "path": source.key(row)} for row in rows],
                labels[rows.start : rows.stop].tolist(),
            ]
            if data.weights is not None:
                columns.append(data.weights[rows.start : rows.stop].tolist())
            arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            bar.update(len(rows))
    return len(data)


def export_csv(data: PayloadDataset, path: Path | str, *, overwrite: bool = False) -> int:
    """Write a listing with one row per image: ``file,label,class[,weight]``; returns the number of rows.

    ``file`` is the path of the image if the source is a local folder, else its key.

    Raises:
        UserError: the file exists and ``overwrite`` is false.
        OSError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "class", *(["weight"] if data.weights is not None else [])])
    for row in range(len(data)):
        label = int(data.images.labels[row])
        weight = [] if data.weights is None else [f"{data.weights[row]:.6g}"]
        writer.writerow([_file_of(data, row), label, data.class_names[label], *weight])
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(text.getvalue().encode())
    return len(data)


def export_folder(data: PayloadDataset, path: Path | str, *, overwrite: bool = False, progress: bool = True) -> int:
    """Copy the images into ``path/<class>/<pool index>.<ending>``, as image-folder loaders expect; returns their
    number.

    Raises:
        UserError: the folder exists and ``overwrite`` is false, or two classes would share a folder.
        OSError: an image cannot be read or written.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists; use --force to replace it")
    names = [_folder_name(name, place) for place, name in enumerate(data.class_names)]
    if len({name.lower() for name in names}) != len(names):
        raise UserError("two class names give the same folder name; export as parquet or csv instead")
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*.tmp"):  # left by a killed export to this very place
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    try:
        for name in names:
            (work / name).mkdir()
        with progress_bar(len(data), "export", show=progress) as bar:
            for row, index in enumerate(data.indices.tolist()):
                content = data.images.source.read(row)
                ending = _ENDINGS.get(content[:2], ".bin")
                path = work / names[int(data.images.labels[row])] / f"{index:09d}{ending}"
                _write(path, content)
                bar.update(1)
        os.chmod(work, 0o755)
        for folder in (*(work / name for name in names), work):
            sync_folder(folder)
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
            os.replace(target, old / "old")
            os.replace(work, target)
            shutil.rmtree(old)
        else:
            os.replace(work, target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return len(data)


def _write(path: Path, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        problem.filename = problem.filename or str(path)
        raise


def _file_of(data: PayloadDataset, row: int) -> str:
    source = data.images.source
    if isinstance(source, SubsetSource) and isinstance(source.source, FolderSource):
        return source.source.path(int(source.indices[row]))
    return source.key(row)


def _folder_name(name: str, place: int) -> str:
    kept = "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in name).strip(" .")
    return kept[:100] or f"class_{place}"
