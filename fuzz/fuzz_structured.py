"""Atheris target whose mutations know the format: edit header, table, parameters and streams, repair the checksums.

Where libFuzzer asks for a mutant, ``fuzz.mutate`` makes it from the file at hand; half of the time libFuzzer's own
mutation of one stream is used, with the checksums made right again.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

if str(Path(__file__).resolve().parents[1]) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.harness import instrumented, start

with instrumented():
    from fuzz import oracle
from fuzz import mutate, seeds
from fuzz.anatomy import parse

DONORS = [file for file in map(parse, seeds.corpus()) if file is not None]


def test_one_input(data: bytes) -> None:
    """All checks, also on the file with the content digest that belongs to its streams."""
    verdict = oracle.examine(data)
    if verdict.name == "CONTENT_DIGEST":
        right = oracle.with_right_digest(data)
        if right is not None:
            oracle.examine(right)


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """A mutant of at most ``max_size`` bytes."""
    import atheris

    rng = random.Random(seed)
    file = parse(data)
    if file is None or not file.pieces:
        return seeds.fresh(rng)[:max_size]
    if rng.random() < 0.5:
        piece = file.pieces[rng.randrange(min(len(file.pieces), 2))]
        piece.body = atheris.Mutate(piece.body, len(piece.body) + 64)
        return file.build()[:max_size]
    return mutate.structured(rng, file, [rng.choice(DONORS)] if DONORS else [])[:max_size]


if __name__ == "__main__":
    start(test_one_input, mutator)
