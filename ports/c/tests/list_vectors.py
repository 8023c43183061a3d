"""Print vectors/manifest.json as the lines that check.c reads.

    python list_vectors.py VECTORS_FOLDER > LIST
"""

import json
import sys
from pathlib import Path

STATIC = {"bitmap", "golomb", "runs", "rans", "fixed", "huffman"}
DEFAULT_LIMIT = 1 << 28


def line(folder: Path, vector: dict) -> str:
    """Fields of one vector: path, code, digest, pool size, fingerprint, groups, codecs beyond the baseline."""
    caller = vector.get("caller", {})
    pool_size = caller.get("pool_size", "-")
    if pool_size == "-" and vector.get("pool_size", 0) > DEFAULT_LIMIT:
        pool_size = vector["pool_size"]
    groups = ",".join(map(str, caller.get("groups", []))) or "-"
    named = {vector.get("index_codec"), vector.get("label_codec")} - {None} - STATIC
    # Invalid vectors say in their name what they are about.
    if "zstd" in vector["file"] or "adaptive" in vector["file"]:
        named.add("by name")
    codecs = ",".join(sorted(named)) or "-"
    return "\t".join(
        [
            str(folder / vector["file"]),
            str(vector.get("error", 0)),
            vector.get("content_digest", "-"),
            str(pool_size),
            caller.get("pool_fingerprint", "-"),
            groups,
            codecs,
        ]
    )


def main() -> None:
    folder = Path(sys.argv[1])
    for vector in json.loads((folder / "manifest.json").read_text())["vectors"]:
        print(line(folder, vector))


if __name__ == "__main__":
    main()
