"""Keep the smallest file for each thing that files make the decoder do.

    python fuzz/minimise.py [FOLDER ...]

Takes the files of the corpus, those of the given folders (fuzz/corpus-live/decode, fuzz/crashes, ...) and fresh mutants, and writes
fuzz/corpus/ anew. "Thing" is: the lines of the decoder between entry and refusal, or the codecs, sections and rough sizes of
an accepted file.
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

from fuzz import batch, oracle, seeds  # noqa: E402

LARGEST = 2000


def thing(data: bytes) -> object:
    """What the decoder does with the file."""
    try:
        p = pf.decode(data, limits=oracle.LIMITS)
    except pf.PladaError as problem:
        frames = traceback.extract_tb(problem.__traceback__)
        where = tuple((os.path.basename(os.path.dirname(f.filename)), f.name, f.lineno) for f in frames)
        return problem.code.name, where[1:], problem.section
    k = len(p)
    rough = (min(k, 3), k == p.pool_size, min(p.num_classes, 2), p.num_classes > 256)
    sections = tuple((s.type, min(s.length, 2)) for s in p.header.sections)
    return "accepted", sections[:2] + tuple(t for t, _ in sections[2:]), rough


def shrink(data: bytes) -> bytes:
    """A smaller file that does the same, by cutting pieces out of its sections."""
    from fuzz.anatomy import parse

    goal = thing(data)
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
            if len(smaller) < len(data) and thing(smaller) == goal:
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
            key = thing(data)
            if key not in best or (len(data), data) < (len(best[key]), best[key]):
                best[key] = data
    kept = {shrink(data) for data in best.values()}
    for old in seeds.CORPUS.glob("*.plada"):
        old.unlink()
    for data in kept:
        (seeds.CORPUS / f"{hashlib.sha256(data).hexdigest()[:16]}.plada").write_bytes(data)
    print(f"{len(kept)} files, {sum(map(len, kept)):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
