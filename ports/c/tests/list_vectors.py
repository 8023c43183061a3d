"""Print vectors/manifest.json as the lines that check.c reads.

    python list_vectors.py VECTORS_FOLDER > LIST
"""

import json
import sys
from pathlib import Path

BEYOND_BASELINE = {0x08, 0x09, 0x10, 0x11, 0x28, 0x29, 0x30}
DEFAULT_LIMIT = 1 << 28


def beyond_baseline(name: str, data: bytes) -> bool:
    """Whether the index codec, the label codec, or one inside a section is not in profile baseline."""
    at = 54 if len(data) > 11 and data[11] & 1 else 46
    if "zstd" in name or at >= len(data):
        return "zstd" in name
    index = data[at]
    at += 1
    while at < len(data) and data[at] & 128:
        at += 1
    return bool({index, *data[at + 1 : at + 2]} & BEYOND_BASELINE)


def line(folder: Path, vector: dict) -> str:
    """Fields of one vector."""
    caller = vector.get("caller", {})
    pool_size = caller.get("pool_size", "-")
    if pool_size == "-" and vector.get("pool_size", 0) > DEFAULT_LIMIT:
        pool_size = vector["pool_size"]
    fields = [
        folder / vector["file"],
        vector.get("error", 0),
        vector.get("content_digest", "-"),
        pool_size,
        caller.get("pool_fingerprint", "-"),
        ",".join(map(str, caller.get("groups", []))) or "-",
        "beyond" if beyond_baseline(vector["file"], (folder / vector["file"]).read_bytes()) else "-",
    ]
    return "\t".join(map(str, fields))


def main() -> None:
    folder = Path(sys.argv[1])
    for vector in json.loads((folder / "manifest.json").read_text())["vectors"]:
        print(line(folder, vector))


if __name__ == "__main__":
    main()
