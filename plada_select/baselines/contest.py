"""One payload against everything else that could be sent, on one student, pool and test set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.errors import UserError

from ..payload import PayloadSpec
from ..scoretable import ScoreTable
from ..select import Policy, Selection
from .results import BaselineResult, per_class_of
from .students import POOL, Student, Target

if TYPE_CHECKING:
    from plada_train import Evaluation, LabelledImages

IDS = (
    "payload", "random", "random_quota", "plain", "entropy", "opposite", "full_pool", "probe_int8", "small_probe",
    "student_int8", "jpeg_random", "jpeg_kcenter", "teacher",
)  # fmt: skip


@dataclass
class Contest:
    """What all baselines share.

    Attributes:
        student: who is trained, and judged on the test set.
        table: the teacher's scores and labels of the pool.
        policy: of the payload.
        payload: the whole file.
        seeds: of the student; the result of a deterministic selection is the mean over them.
        draws: of random selections; draw i also has student seed i.
        target: the labelled target training set; without it no weights or images can be sent.
        encode_options: for :func:`plada_format.encode`, as the payload was made.
        payload_accuracies: of students trained on the payload elsewhere, in place of training them here (needed where
            the payload's weights or soft labels count).
    """

    student: Student
    table: ScoreTable
    policy: Policy
    payload: bytes
    seeds: tuple[int, ...] = (0, 1, 2)
    draws: int = 5
    target: Target | None = None
    encode_options: Mapping[str, Any] = field(default_factory=dict)
    payload_accuracies: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        header = pf.inspect(self.payload)
        if header.pool_size != len(self.table) or header.num_classes != self.table.num_classes:
            raise UserError(
                f"the payload is of a pool of {header.pool_size} and {header.num_classes} classes, the score table of"
                f" {len(self.table)} and {self.table.num_classes}"
            )
        if not self.seeds or self.draws < 1:
            raise UserError("baselines need at least one seed and one draw")

    @cached_property
    def sent(self) -> pf.Payload:
        """The payload, decoded."""
        return pf.decode(self.payload, pool_size=len(self.table), groups=self.encode_options.get("groups"))

    @property
    def count(self) -> int:
        """Images in the payload."""
        return len(self.sent)

    @property
    def budget(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)

    @property
    def names_text(self) -> bytes:
        """Class names as every other way to send the task must send them too, if the payload does."""
        return "\n".join(self.sent.class_names or ()).encode()

    @cached_property
    def spec(self) -> PayloadSpec:
        """How another selection of the same pool would be encoded: same names, metadata and codecs, hard labels."""
        return PayloadSpec(
            pool_size=len(self.table),
            class_names=self.sent.class_names or [str(c) for c in range(self.table.num_classes)],
            pool_fingerprint=self.sent.pool_fingerprint,
            metadata=dict(self.sent.metadata),
            encode_options=self.encode_options,
        )

    @cached_property
    def payload_result(self) -> BaselineResult:
        """The student trained on the payload."""
        base = BaselineResult(
            "payload",
            "PLADA payload",
            self.payload_accuracies or (),
            bytes=self.budget,
            count=self.count,
            fits=True,
            holds=self.holds(POOL),
            counted="the whole file",
        )
        if self.payload_accuracies is not None:
            return base
        selection = Selection(self.sent.indices, self.sent.labels)
        accuracies, first = self.train(selection)
        return replace(base, accuracies=accuracies, per_class=per_class_of(first))

    @property
    def wanted(self) -> float:
        """The payload's accuracy: what others are searched up to."""
        return self.payload_result.accuracy

    def holds(self, *more: str) -> tuple[str, ...]:
        """What the receiver must hold beside the student's own needs."""
        return (*more, *self.student.holds)

    def train(self, selection: Selection, seeds: Iterable[int] | None = None) -> tuple[tuple[float, ...], Evaluation]:
        """Accuracies of students on a selection, one per seed, and the first evaluation."""
        found = [
            self.student.fit_pool(selection.indices, selection.labels, seed=seed)
            for seed in (self.seeds if seeds is None else seeds)
        ]
        return tuple(evaluation.accuracy for evaluation in found), found[0]

    def size_of(self, indices: NDArray[np.uint32], labels: NDArray[np.uint16]) -> int:
        """Bytes of the file that carries these."""
        return len(self.spec.encode(Selection(indices, labels)))


def teacher_result(evaluation: Evaluation | float) -> BaselineResult:
    """The row of the teacher itself."""
    known = isinstance(evaluation, float)
    return BaselineResult(
        "teacher",
        "Teacher",
        (float(evaluation) if known else evaluation.accuracy,),  # type: ignore[union-attr,arg-type]
        note="not sent: the server's own model",
        per_class=None if known else per_class_of(evaluation),
    )


def run_baselines(
    contest: Contest,
    *,
    which: Iterable[str] | None = None,
    teacher: Evaluation | float | None = None,
    test: LabelledImages | None = None,
    jpeg_limit: int = 1000,
    search: bool = True,
    progress: bool = True,
) -> list[BaselineResult]:
    """All baselines that can run with what ``contest`` has, in the order of :data:`IDS`.

    Args:
        which: some of :data:`IDS`; by default all whose inputs are there. Asking for one whose inputs are missing is
            an error.
        teacher: its evaluation or accuracy.
        test: images of the test set, for ``student_int8``.
        jpeg_limit: most target images that the search over JPEGs decodes and extracts.
        search: also find the bytes that a baseline needs for the payload's accuracy.
        progress: show a bar.

    Raises:
        UserError: unknown id, or an input of a baseline that was asked for is missing.
    """
    from plada_train.loader import progress_bar

    from .jpeg import jpeg_images
    from .selections import criterion_selection, full_pool, opposite_energy, random_selection
    from .weights import linear_probe_int8, small_probe_int8, student_int8

    jobs: dict[str, Callable[[], BaselineResult]] = {
        "payload": lambda: contest.payload_result,
        "random": lambda: random_selection(contest, search=search),
        "random_quota": lambda: random_selection(contest, quotas=True, search=search),
        "plain": lambda: criterion_selection(contest, contest.policy.criterion, safety_net=None, search=search),
        "entropy": lambda: criterion_selection(contest, "entropy", search=search),
        "opposite": lambda: opposite_energy(contest, search=search),
        "full_pool": lambda: full_pool(contest),
        "probe_int8": lambda: linear_probe_int8(contest),
        "small_probe": lambda: small_probe_int8(contest, search=search),
        "student_int8": lambda: student_int8(contest, _given(test, "student_int8", "the test images")),
        "jpeg_random": lambda: jpeg_images(contest, "random", limit=jpeg_limit, search=search),
        "jpeg_kcenter": lambda: jpeg_images(contest, "kcenter", limit=jpeg_limit, search=search),
        "teacher": lambda: teacher_result(_given(teacher, "teacher", "its evaluation")),
    }
    able = set(_able(contest, teacher, test))
    wanted = able if which is None else set(which)
    if wanted - set(IDS):
        raise UserError(f"no baseline {sorted(wanted - set(IDS))[0]!r}; there are {', '.join(IDS)}")
    results = []
    with progress_bar(len(wanted), "baselines", show=progress, unit="baseline") as bar:
        for name in IDS:
            if name in wanted:
                results.append(jobs[name]())
                bar.update(1)
    return results


def _given(value: Any, name: str, what: str) -> Any:
    if value is None:
        raise UserError(f"baseline {name!r} needs {what}")
    return value


def _able(contest: Contest, teacher: Any, test: Any) -> Iterable[str]:
    yield from ("payload", "random", "random_quota", "opposite", "full_pool")
    if contest.policy.safety_net is not None:
        yield "plain"
    if contest.policy.criterion != "entropy":
        yield "entropy"
    if teacher is not None:
        yield "teacher"
    target = contest.target
    head = hasattr(contest.student, "pool_features")
    has_model = not head or getattr(contest.student, "backbone", None) is not None
    if target is None:
        return
    if head and target.features is not None:
        yield from ("probe_int8", "small_probe")
    if test is not None and has_model and (target.features if head else target.images) is not None:
        yield "student_int8"
    if target.images is not None and has_model:
        yield "jpeg_random"
        if target.features is not None:
            yield "jpeg_kcenter"
