"""Write seeds for fuzz.c: every small vector, as it is and with repaired checksums.

    python make_corpus.py VECTORS_FOLDER CORPUS_FOLDER
"""

import json
import sys
from pathlib import Path

LARGEST = 4096


def main() -> None:
    vectors, corpus = Path(sys.argv[1]), Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for vector in json.loads((vectors / "manifest.json").read_text())["vectors"]:
        data = (vectors / vector["file"]).read_bytes()
        if len(data) > LARGEST:
            continue
        name = vector["file"].replace("/", "-")
        for mode in (1, 5) if len(data) > 11 and data[11] & 1 else (1, 2):
            (corpus / f"{name}-{mode}").write_bytes(bytes([mode, 7]) + data)


if __name__ == "__main__":
    main()
