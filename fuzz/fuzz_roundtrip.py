"""Atheris target that drives the properties of ``tests/format``: the fuzzer's bytes choose Hypothesis's examples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
for path in (ROOT, ROOT / "tests" / "format"):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))

from hypothesis import HealthCheck, settings  # noqa: E402  # the path comes first

from fuzz.harness import instrumented, start  # noqa: E402  # the path comes first

settings.register_profile("fuzz", deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.load_profile("fuzz")

with instrumented():
    import test_properties as properties

PROPERTIES: tuple[Any, ...] = (
    properties.test_round_trip,
    properties.test_auto_round_trip,
    properties.test_digest_and_equality_do_not_depend_on_codecs,
    properties.test_digest_sees_every_change_of_the_content,
    properties.test_size_stays_below_the_documented_maximum,
    properties.test_a_decoder_written_from_the_specification_agrees,
    properties.test_recode_changes_only_what_it_is_told,
)


def test_one_input(data: bytes) -> None:
    """The first byte chooses the property, the others its example."""
    if data:
        PROPERTIES[data[0] % len(PROPERTIES)].hypothesis.fuzz_one_input(data[1:])


if __name__ == "__main__":
    start(test_one_input)
