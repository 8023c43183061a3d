"""What a codec is: an id, a name, a profile, and two functions (OpenZL's split: checks here, loops in the engines)."""

from __future__ import annotations

from typing import Any, Protocol

from .._types import U16, U32
from ..engines.stream import Stream

#: Profiles from the smallest reader up; a profile includes those before it.
PROFILES = ("baseline", "compact", "full")


class Codec(Protocol):
    """What the registry knows of every codec: section type, name and the smallest profile that has it."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def profile(self) -> str: ...


class IndexCodec(Codec, Protocol):
    """Coder of an index set with 0 < k < N. ``parameters`` is what a stream transmits besides the content: passing
    back what :meth:`decode` returned reproduces the stream."""

    def encode(self, indices: U32, pool_size: int, parameters: Any = None) -> bytes:
        """The stream of strictly increasing ``indices`` below ``pool_size``."""
        ...

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, Any]:
        """The indices and the transmitted parameters; raises PladaError on anything else than one valid stream."""
        ...


class LabelCodec(Codec, Protocol):
    """Coder of n >= 1 symbols below ``alphabet`` >= 2."""

    def encode(self, labels: U16, alphabet: int, parameters: Any = None) -> bytes:
        """The stream of ``labels``."""
        ...

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, Any]:
        """The labels and the transmitted parameters."""
        ...
