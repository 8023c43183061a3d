"""One plan for server and clients: the distillation, the federation, the data; as flat configuration values, which is
what Flower hands to both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plada_format.errors import UserError

from .aggregate import Aggregation
from .compress import Codec
from .partition import Partition
from .settings import NetSpec, Settings

WEIGHT_CODECS = ("float32", "bf16")
SERVER_KEYS = frozenset({"out", "patience"})  # of the server's app alone


@dataclass(frozen=True)
class Federation:
    """Who takes part, and how they talk.

    Attributes:
        clients: how many the data are dealt to (in a simulation), or are expected (in a real federation).
        partition: how the data are dealt.
        fraction: share of the clients asked in each step, drawn from the seed; at least one.
        codec: of gradients, on the way up.
        weights: of the network's weights, on the way down; ``bf16`` rounds them on the server too.
        aggregation: many gradients -> one.
        quorum: share of the asked clients that must answer; below it the step is asked again.
        retries: how often, before the run stops with an error.
        timeout: seconds to wait for answers; later ones are not used.
        dropout: simulation only: chance that a client does not get or not answer a message.
        stragglers: simulation only: chance that an answer comes too late: sent, counted, not used.
        mislabelled: simulation only: share of the clients whose labels are all wrong.
        clip: largest norm of one image's gradient; 0: no privacy mechanism at all.
        noise: standard deviation of the Gaussian noise, as a multiple of ``clip``.
        sample_rate: with ``clip``: chance of each image to take part in a step.
        delta: of (epsilon, delta) differential privacy, for the report.
    """

    clients: int = 4
    partition: Partition = field(default_factory=Partition)
    fraction: float = 1.0
    codec: Codec = field(default_factory=Codec)
    weights: str = "float32"
    aggregation: Aggregation = field(default_factory=Aggregation)
    quorum: float = 0.5
    retries: int = 3
    timeout: float = 3600.0
    dropout: float = 0.0
    stragglers: float = 0.0
    mislabelled: float = 0.0
    clip: float = 0.0
    noise: float = 0.0
    sample_rate: float = 0.01
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if self.clients < 1 or self.retries < 0 or not self.timeout > 0:
            raise UserError("federation: at least 1 client, no negative retries, a timeout above 0")
        for name in ("dropout", "stragglers"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"federation: {name} must lie in [0, 1), not {getattr(self, name)}")
        for name in ("fraction", "quorum", "sample_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"federation: {name.replace('_', ' ')} must lie in (0, 1], not {getattr(self, name)}")
        if not 0 <= self.mislabelled <= 1 or not 0 < self.delta < 1:
            raise UserError("federation: the mislabelled share must lie in [0, 1], delta in (0, 1)")
        if self.weights not in WEIGHT_CODECS:
            raise UserError(f"federation: weights travel as {' or '.join(WEIGHT_CODECS)}, not {self.weights!r}")
        if self.clip < 0 or self.noise < 0 or (self.noise and not self.clip):
            raise UserError("federation: noise needs a clipping norm above 0, and neither may be negative")
        if self.clip and self.codec.name == "topk":
            raise UserError(
                "federation: error feedback would keep and repeat what the privacy mechanism has not accounted for;"
                " use int8 or bf16 with clip"
            )
        if self.clip and self.aggregation.rule == "weighted":
            raise UserError("federation: weights would tell class counts; with clip use aggregation mean or median")

    @property
    def private(self) -> bool:
        """Whether single images are protected by noise."""
        return self.clip > 0 and self.noise > 0


@dataclass(frozen=True)
class Plan:
    """Everything that both sides must agree on.

    Attributes:
        settings: the distillation.
        federation: who takes part.
        task: labelled data that a simulation deals out; a client with data of its own ignores it.
        val_fraction: share of the task's training images that nobody gets: the server's own, for tuning.
        class_names: in order; empty: those of the task.
        channels, size: of the images.
    """

    settings: Settings
    federation: Federation
    task: str = ""
    val_fraction: float = 0.0
    class_names: tuple[str, ...] = ()
    channels: int = 3
    size: int = 32

    def to_config(self) -> dict[str, bool | float | int | str]:
        """Flat values, as Flower's run configuration takes them."""
        network, settings, federation = self.settings.network, self.settings, self.federation
        plain: dict[str, Any] = {one.name: getattr(settings, one.name) for one in dataclasses.fields(settings)}
        plain |= {one.name: getattr(federation, one.name) for one in dataclasses.fields(federation)}
        del plain["network"]
        plain |= {one.name: getattr(network, one.name) for one in dataclasses.fields(network)}
        plain |= {"task": self.task, "val_fraction": self.val_fraction}
        plain |= {"channels": self.channels, "size": self.size}
        plain["augment"] = " ".join(settings.augment) or "none"
        plain["class_names"] = "\n".join(self.class_names)
        return {
            name.replace("_", "-"): value if isinstance(value, (bool, int, float)) else str(value)
            for name, value in sorted(plain.items())
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Plan:
        """Inverse of :meth:`to_config`. Names may be missing (defaults) but not unknown.

        Raises:
            UserError: a name is unknown, or a value of the wrong kind.
        """
        given = {str(name).replace("-", "_"): value for name, value in config.items() if name not in SERVER_KEYS}
        parts: dict[type, dict[str, Any]] = {NetSpec: {}, Settings: {}, Federation: {}, Plan: {}}
        homes = {
            one.name: (part, one.type)
            for part in parts
            for one in dataclasses.fields(part)
            if one.name not in ("network", "settings", "federation")
        }
        for name, value in given.items():
            if name not in homes:
                raise UserError(f"run configuration: unknown name {name.replace('_', '-')!r}")
            part, kind = homes[name]
            try:
                parts[part][name] = _parse(name, str(kind), value)
            except UserError:
                raise
            except (TypeError, ValueError):
                raise UserError(f"run configuration: {name.replace('_', '-')} = {value!r} cannot be read") from None
        settings = Settings(network=NetSpec(**parts[NetSpec]), **parts[Settings])
        return cls(settings, Federation(**parts[Federation]), **parts[Plan])

    def identity(self) -> str:
        """What a run's checkpoints belong to, beside the settings that the run adds itself.

        Timeouts and retries do not change the images.
        """
        plain = self.to_config()
        for name in ("iterations", "timeout", "retries", "quorum", "delta"):
            plain.pop(name)
        return repr(sorted(plain.items()))


def _parse(name: str, kind: str, value: Any) -> Any:
    if name == "augment":
        return () if value == "none" else tuple(str(value).split())
    if name == "class_names":
        return tuple(part for part in str(value).split("\n") if part)
    if name == "partition":
        return Partition.parse(str(value))
    if name == "codec":
        return Codec.parse(str(value))
    if name == "aggregation":
        return Aggregation.parse(str(value))
    if kind == "bool":
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}[str(value).lower()] if str(value).lower() in ("true", "false") else _no()
    if kind.startswith("int"):
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    if kind == "float":
        return float(value)
    return str(value)


def _no() -> Any:
    raise ValueError
