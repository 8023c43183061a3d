"""Sending weights in place of data: a linear probe in INT8, a probe on few principal components, a whole network."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .results import BaselineResult, Need, Point, per_class_of
from .search import smallest_reaching
from .students import BACKBONE, POOL, HeadStudent, Target

if TYPE_CHECKING:
    from plada_train import Evaluation, Head, LabelledImages

    from .contest import Contest

_LEVEL = 22
_BASIS_IMAGES = 2048  # pool images from which both sides compute the principal components
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class QuantisedRows:
    """A matrix in 8 bits: ``values[r] * scales[r]``, int8 (rows, columns) and float16 (rows,)."""

    values: NDArray[np.int8]
    scales: NDArray[np.float16]

    def dequantise(self) -> Floats:
        """float32 (rows, columns)."""
        return self.values.astype(np.float32) * self.scales.astype(np.float32)[:, None]


def quantise_rows(matrix: NDArray[np.floating]) -> QuantisedRows:
    """Round each row to 8 bits, symmetric: scale = largest magnitude / 127, as float16.

    Args:
        matrix: float (rows, columns); every row's largest magnitude / 127 must be 0 or lie in float16's range, or it
            is held at that range's end.
    """
    rows = np.asarray(matrix, np.float32)
    top = np.abs(rows).max(axis=1, initial=0.0)
    half = np.finfo(np.float16)
    scales = np.clip(top / 127, float(half.smallest_subnormal), float(half.max)).astype(np.float16)
    values = np.clip(np.rint(rows / scales.astype(np.float32)[:, None]), -127, 127).astype(np.int8)
    return QuantisedRows(values, scales)


def linear_probe_int8(contest: Contest) -> BaselineResult:
    """A head trained on the labelled target itself, its weights sent with 8 bits each.

    Trained as the student is, on the same frozen backbone, which the receiver must hold; judged after quantisation.
    """
    student, target = _head_student(contest, "probe_int8")
    found = [_probe(student, target.features, student.test_features, contest, target, seed) for seed in contest.seeds]
    size = max(bytes_ for bytes_, _ in found)
    first = found[0][1]
    accuracies = tuple(evaluation.accuracy for _, evaluation in found)
    result = BaselineResult(
        "probe_int8",
        "Linear probe, INT8" if student.hidden is None else "Probe with a hidden layer, INT8",
        accuracies,
        bytes=size,
        fits=size <= contest.budget,
        holds=student.holds,
        counted="weights with 8 bits, one float16 scale and bias per row, class names; Zstandard 22",
        note=f"trained on {len(target.labels):,} labelled target images",
        per_class=per_class_of(first),
    )
    reached = result.accuracy >= contest.wanted
    return replace(result, needed=Need(size, None, result.accuracy, reached))


def small_probe_int8(contest: Contest, *, search: bool = True) -> BaselineResult:
    """The INT8 probe on the first principal components of the backbone's features of the pool, as many as fit.

    Both sides compute the components from the first 2,048 usable pool images, so they cost no byte, but the receiver
    must run its backbone over those.
    """
    student, target = _head_student(contest, "small_probe")
    usable = np.ones(len(student.pool_features), bool) if student.pool_status is None else student.pool_status < 128
    basis = PoolBasis(student.pool_features[np.flatnonzero(usable)[:_BASIS_IMAGES]])
    known: dict[int, tuple[int, Evaluation]] = {}
    assert target.features is not None
    train_all, test_all = basis.project(target.features), basis.project(student.test_features)
    seed = contest.seeds[0]

    def probe(count: int) -> tuple[int, Evaluation]:
        if count not in known:
            known[count] = _probe(student, train_all[:, :count], test_all[:, :count], contest, target, seed)
        return known[count]

    classes = len(contest.student.class_names)
    overhead = 4 * classes + len(contest.names_text)
    count = min(basis.rank, max(1, (contest.budget - overhead // 2) // classes + 1))
    while count > 1 and probe(count)[0] > contest.budget:
        count -= max(1, (probe(count)[0] - contest.budget) // classes)
    size, evaluation = probe(max(1, count))
    accuracies: tuple[float, ...] = (evaluation.accuracy,)
    if size <= contest.budget:
        accuracies += tuple(
            _probe(student, train_all[:, :count], test_all[:, :count], contest, target, s)[1].accuracy
            for s in contest.seeds[1:]
        )
    result = BaselineResult(
        "small_probe",
        f"Linear probe on {count} components, INT8",
        accuracies,
        bytes=size,
        count=count,
        fits=size <= contest.budget,
        holds=(POOL, BACKBONE),
        counted="as for the linear probe; the components follow from the pool and cost nothing",
        note=f"the receiver runs its backbone over {min(_BASIS_IMAGES, int(usable.sum())):,} pool images first",
        per_class=per_class_of(evaluation),
    )
    if not search:
        return result

    def measure(number: int) -> Point:
        found, judged = probe(number)
        return Point(found, number, judged.accuracy)

    start = max(1, count if result.accuracy < contest.wanted else count // 8)
    need, curve = smallest_reaching(measure, contest.wanted, start, basis.rank)
    return replace(result, needed=need, curve=curve)


def student_int8(contest: Contest, test: LabelledImages) -> BaselineResult:
    """The student's whole network, trained on the labelled target, every weight in 8 bits: nothing but the
    architecture's code is needed to receive it.

    Args:
        contest: what is compared; its target is trained on.
        test: images of the test set: the quantised network runs over all of them.
    """
    from plada_train import evaluate

    if contest.target is None:
        raise UserError("baseline 'student_int8' needs the labelled target")
    model = contest.student.target_model(contest.target, seed=contest.seeds[0])
    size, module = quantised_module(model.module, contest.names_text)
    device = getattr(contest.student, "device", "cpu")
    evaluation = evaluate(replace(model, module=module), test, device=_device(device), progress=False)
    frozen = isinstance(contest.student, HeadStudent)
    return BaselineResult(
        "student_int8",
        "The student's weights, INT8",
        (evaluation.accuracy,),
        bytes=size,
        fits=size <= contest.budget,
        needed=Need(size, None, evaluation.accuracy, evaluation.accuracy >= contest.wanted),
        holds=(),
        counted=("backbone and classifier" if frozen else "the whole network")
        + ": kernels with 8 bits, the rest float16; Zstandard 22",
        note="for a receiver that holds no backbone; " + ("the backbone is as pretrained, only its classifier was"
             " trained on the target" if frozen else "trained on the target"),
        per_class=per_class_of(evaluation),
    )  # fmt: skip


def quantised_module(module: Any, extra: bytes = b"") -> tuple[int, Any]:
    """Quantise a network for sending.

    Tensors with two axes or more get 8 bits per value and a float16 scale per row of their first axis; others float16,
    or float32 where float16 has no room. Counters of batch norm are left out.

    Returns:
        Bytes after Zstandard (with ``extra`` appended), and a copy of the module that has the received values.
    """
    import torch

    received = copy.deepcopy(module).cpu()
    parts: list[bytes] = []
    with torch.no_grad():
        for name, tensor in received.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            value = tensor.detach().float().numpy()
            if value.ndim >= 2:
                packed = quantise_rows(value.reshape(len(value), -1))
                parts += [packed.values.tobytes(), packed.scales.tobytes()]
                back = packed.dequantise().reshape(value.shape)
            else:
                narrow = np.abs(value).max(initial=0) < 65_504
                small = value.astype(np.float16 if narrow else np.float32)
                parts.append(small.tobytes())
                back = small.astype(np.float32)
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(back)).reshape(tensor.shape))
    return len(compress(b"".join(parts) + extra)), received.eval()


def compress(data: bytes) -> bytes:
    """A Zstandard frame of level 22, without checksum, content size or dictionary id."""
    import zstandard

    compressor = zstandard.ZstdCompressor(
        level=_LEVEL, write_checksum=False, write_content_size=False, write_dict_id=False
    )
    return compressor.compress(data)


def pack_head(head: Head, names: bytes) -> tuple[int, list[tuple[Floats, Floats]]]:
    """A head in 8 bits: bytes to send, and the layers as received.

    The last layer's logits may be scaled by any number above 0 without changing a decision; they are scaled such that
    scales and biases suit float16.
    """
    parts: list[bytes] = []
    layers: list[tuple[Floats, Floats]] = []
    factor = 1.0  # what the values so far are divided by; it goes through a ReLU, and the next bias must follow
    for weight, bias in head.layers:
        bias = bias / factor
        divisor = max(float(np.abs(weight).max()), float(np.abs(bias).max()) / 1000, 1e-30)
        packed = quantise_rows(weight / divisor)
        small = (bias / divisor).astype(np.float16)
        parts += [packed.values.tobytes(), packed.scales.tobytes(), small.tobytes()]
        layers.append((packed.dequantise(), small.astype(np.float32)))
        factor *= divisor
    return len(compress(b"".join(parts) + names)), layers


def _probe(
    student: HeadStudent, train: Floats | None, test: Floats, contest: Contest, target: Target, seed: int
) -> tuple[int, Evaluation]:
    assert train is not None
    head = student.train(train, target.labels, None, seed)
    size, layers = pack_head(head, contest.names_text)
    values = test
    for number, (weight, bias) in enumerate(layers):
        values = (np.maximum(values, 0) if number else values) @ weight.T + bias
    return size, student.judge_logits(values)


class PoolBasis:
    """Principal components of standardised features, in falling order, each scaled to spread 1."""

    def __init__(self, features: Floats) -> None:
        if len(features) < 2:
            raise UserError("principal components need at least two usable pool images")
        self.middle = features.mean(0, dtype=np.float64)
        spread = features.std(0, dtype=np.float64)
        self.scale = 1 / np.where(spread > 1e-6, spread, 1.0)
        rows = (features - self.middle) * self.scale
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        keep = values[::-1] > 1e-6 * values[-1]
        self.vectors = vectors[:, ::-1][:, keep] / np.sqrt(values[::-1][keep])
        self.rank = int(keep.sum())

    def project(self, features: Floats) -> Floats:
        """float32 (n, D) -> float32 (n, rank)."""
        found: Floats = (((features - self.middle) * self.scale) @ self.vectors).astype(np.float32)
        return found


def _head_student(contest: Contest, name: str) -> tuple[HeadStudent, Target]:
    if not isinstance(contest.student, HeadStudent) or contest.target is None or contest.target.features is None:
        raise UserError(f"baseline {name!r} needs a student with a frozen backbone and the target's features")
    return contest.student, contest.target


def _device(name: str) -> Any:
    from plada_train import pick_device

    return pick_device(name)
