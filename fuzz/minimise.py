"""Keep the smallest file for each thing that files make the decoder do.

    python fuzz/minimise.py [FOLDER ...]

Takes the files of the corpus, those of the given folders (fuzz/corpus-live/decode, ...) and fresh mutants, and writes
fuzz/corpus/ anew. A "thing" is: the place in the decoder where a file is refused, or the codecs, sections and rough
sizes of an accepted file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import plada_format as pf  # noqa: E402  # the path comes first
from fuzz import batch, oracle, seeds  # noqa: E402  # the path comes first

LARGEST = 2000


def things(data: bytes) -> frozenset[object]:
    """What the decoder does with the file."""
    try:
        p = pf.decode(data, limits=oracle.LIMITS)
    except pf.PladaError as problem:
        frames = traceback.extract_tb(problem.__traceback__)
        inner = tuple((os.path.basename(os.path.dirname(f.filename)), f.name, f.lineno) for f in frames[1:])
        codecs = [f for f in inner if f[0].startswith(("index_", "label_"))]  # which codec, where engines are shared
        return frozenset({(problem.code.name, problem.section, tuple(codecs[:1]), inner[-3:-1])})
    k = len(p)
    amount = (min(k, 2), k == p.pool_size, p.num_classes == 1, p.num_classes > 256)
    found: set[object] = {(s.type, s.length > 0, amount) for s in p.header.sections[:2]}
    return frozenset(found | {s.type for s in p.header.sections[2:]})


def shrink(data: bytes) -> bytes:
    """A smaller file that does the same, by cutting pieces out of its sections."""
    from fuzz.anatomy import parse

    goal = things(data)
    size = len(data) // 2
    while size:
        at = 0
        while True:
            file = parse(data)
            if file is None:
                return data
            total = sum(len(p.body) for p in file.pieces)
            if at >= total:
                break
            start = at
            for piece in file.pieces:
                if start < len(piece.body):
                    piece.body = piece.body[:start] + piece.body[start + size :]
                    break
                start -= len(piece.body)
            smaller = file.build()
            if len(smaller) < len(data) and things(smaller) == goal:
                data = smaller
            else:
                at += size
        size //= 2
    return data


def candidates(folders: list[Path], batches: int) -> Iterator[bytes]:
    """Old corpus, given folders, fresh mutants."""
    yield from seeds.corpus()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                yield path.read_bytes()
    held: list[bytes] = []
    for number in range(batches):
        batch.Batch(4711, 8 * number + 1, batch.start_files(), held.append).run()
        yield from held
        held.clear()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--batches", type=int, default=40, help="batches of fresh mutants (default: %(default)s)")
    options = parser.parse_args()
    best: dict[object, bytes] = {}
    for data in candidates(options.folders, options.batches):
        if len(data) <= LARGEST:
            for thing in things(data):
                if thing not in best or (len(data), data) < (len(best[thing]), best[thing]):
                    best[thing] = data
    kept = {shrink(data) for data in best.values()}
    for old in seeds.CORPUS.glob("*.plada"):
        old.unlink()
    for data in kept:
        (seeds.CORPUS / f"{hashlib.sha256(data).hexdigest()[:16]}.plada").write_bytes(data)
    print(f"{len(kept)} files, {sum(map(len, kept)):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
