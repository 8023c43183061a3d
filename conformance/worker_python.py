"""The reference decoder as a worker: ``python -m conformance.worker_python``, back end by ``PLADA_ACCEL``."""

from __future__ import annotations

import json
import sys
import traceback

import numpy as np

import plada_format as pf
from conformance.protocol import ESCAPED, Answer, Case, case_of
from plada_format import accel
from plada_format.codecs import INDEX_CODECS
from plada_format.digest import content_digest


def answer(case: Case) -> Answer:
    """Decode strictly."""
    try:
        p = pf.decode(
            case.file,
            pool_size=case.pool_size,
            pool_fingerprint=case.fingerprint,
            groups=None if case.groups is None else np.array(case.groups, np.uint32),
            limits=pf.Limits(max_pool=case.limit_pool, max_kept=case.limit_kept),
        )
        digest = content_digest(p.pool_size, p.num_classes, p.indices, p.labels)
        return Answer(0, digest, len(p.indices))
    except pf.PladaError as problem:
        return Answer(int(problem.code))
    except Exception:  # whatever escapes is a finding; the runner names it
        traceback.print_exc()
        return Answer(ESCAPED)


def serve() -> None:
    """Answer requests until the input ends."""
    accel.backend(0)  # where numba is asked for, compile before anybody counts seconds
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        sink.write(answer(case_of(source.read(int.from_bytes(head, "little")))).pack())
        sink.flush()


def main() -> int:
    """Command line."""
    if "--capabilities" in sys.argv[1:]:
        print(json.dumps({"name": "python", "zstd": True, "adaptive": 0x08 in INDEX_CODECS}))
    else:
        serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
