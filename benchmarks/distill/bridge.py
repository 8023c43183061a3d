"""A payload from a federation beside a distilled set from a federation: bytes on the wire, bytes of the result,
accuracy of the same students with the same seeds.

    python -m benchmarks.distill.bridge --task npz:CIFAR10.npz --pool npz:SHARD0.npz,SHARD1.npz \
        --manifest POOL.pladapool --student-weights MOBILENET.safetensors --work DIR --cache DIR \
        --federated federated_cifar10_ipc1_w32 --cell "iid, 4 clients" --keep 0.02% 0.2% 1%

The payload: ``plada_distill.bridge`` (teacher: linear classifier on EfficientNet-Lite0 at 128 px by federated
averaging; selection: equal class quotas, lowest energy), with the pool's features from the cache instead of a second
pass of the backbone. The distilled sets: those that ``benchmarks.distill.federated`` left in --work, at 8 bits per
value. Students: a ConvNet-3 from fresh weights at the task's own size, with as many steps for every set, and a linear
classifier on a frozen MobileNetV2 at 128 px. Rows go to results/bridge.json; interrupt it at any time.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_train import ImageSource

if TYPE_CHECKING:
    from plada_distill import Images

RESULTS = Path(__file__).resolve().parent / "results"
TEACHER, STUDENT, INPUT = ("tf_efficientnet_lite0", "wheel"), "mobilenetv2_100", 128


class _Pictures(ImageSource):
    """Images in memory as a source of PNG files.

    Args:
        images: what.
        name: for messages.
    """

    def __init__(self, images: Images, name: str) -> None:
        from PIL import Image

        from plada_distill.data import denormalise

        self.spec, self._files = name, []
        for picture in denormalise(images.pixels):
            file = io.BytesIO()
            Image.fromarray(picture if picture.shape[2] == 3 else picture[..., 0]).save(file, "PNG", optimize=True)
            self._files.append(file.getvalue())

    def __len__(self) -> int:
        return len(self._files)

    def key(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> bytes:
        return self._files[index]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(file) for file in self._files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--pool", required=True, help="images")
    parser.add_argument("--manifest", required=True, help="of the pool, by 'plada pool build'")
    parser.add_argument("--student-weights", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="features of the backbones")
    parser.add_argument("--federated", required=True, nargs="+", help="results of benchmarks.distill.federated")
    parser.add_argument("--cell", required=True, help="of them")
    parser.add_argument("--central", nargs="*", default=[], help="results of benchmarks.distill.centralised, too")
    parser.add_argument("--name", default="bridge")
    parser.add_argument("--keep", nargs="+", default=["0.02%", "0.2%", "1%"])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300, help="of the ConvNet students, 256 images or all in each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()

    import torch

    from benchmarks.distill.federated import folder_name
    from plada_distill import NetSpec, TrainRecipe, load_images, load_synthetic, random_subset, score_set
    from plada_distill.bridge import federated_teacher
    from plada_distill.data import Images, load_pixels, normalise
    from plada_select.pipeline import select_payload
    from plada_select.safety_net import SafetyNet
    from plada_select.select import Policy
    from plada_train import Recipe, Targets, extract_features, load_model, open_source, open_task, train_head

    torch.set_num_threads(1)
    federated = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in args.federated}
    (width,) = {found["arguments"]["width"] for found in federated.values()}
    spec = NetSpec(width)
    task = open_task(args.task, val_fraction=0)
    train, test = (load_images(task.split(name)) for name in ("train", "test"))
    pool = open_source(args.pool)
    student = load_model(STUDENT, args.student_weights, num_classes=0, input_size=INPUT)
    pool_features = extract_features(student, pool, cache=args.cache, description="pool, student")
    goal = extract_features(student, task.split("test").source, cache=args.cache, description="test, student")
    goal_labels = task.split("test").labels
    out = RESULTS / f"{args.name}.json"
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"rows": []}
    report["setting"] = {
        "task": task.name, "train": len(train), "test": len(test), "pool": len(pool),
        "clients": args.clients, "teacher": f"{TEACHER[0]} at {INPUT} px, frozen, linear classifier",
        "students": [f"{spec.name()}, {args.steps} steps", f"{STUDENT} at {INPUT} px, frozen, linear classifier"],
        "distilled": args.cell,
    }  # fmt: skip
    known = {(row["what"], row["seed"]) for row in report["rows"]}

    def frozen(features: np.ndarray, labels: np.ndarray, seed: int) -> float:
        head = train_head(features, Targets(labels, task.num_classes), recipe=Recipe.head(len(labels), seed))
        return float((head.logits(goal.values).argmax(1) == goal_labels).mean())

    def keep(what: str, seed: int, images: Images, features: np.ndarray, **facts: Any) -> None:
        recipe = TrainRecipe(epochs=-(-args.steps // -(-len(images) // 256)))
        row = {
            "what": what,
            "seed": seed,
            "images": len(images),
            "convnet": score_set(images, test, spec, recipe, [1000 * seed]).mean,
            "frozen": frozen(features, images.labels.numpy(), seed),
            **facts,
        }
        report["rows"].append(row)
        out.write_text(json.dumps(report, indent=1) + "\n")
        print(row, flush=True)

    for seed in args.seeds:
        home = args.work / f"{args.name}-{seed}"
        missing = [share for share in args.keep if (f"payload, {share} of the pool", seed) not in known]
        if missing:
            teacher = federated_teacher(
                args.task, home / "teacher", images=args.pool, arch=TEACHER[0], backbone=TEACHER[1], input_size=INPUT,
                clients=args.clients, seed=seed, cache=args.cache, progress=False,
            )  # fmt: skip
            table = _table(teacher.folder, pool, args, home)
            for share in missing:
                outcome = select_payload(table, Policy("energy", "low", SafetyNet()), keep=share)
                chosen = outcome.selection
                pixels, _ = load_pixels(pool, chosen.indices.tolist(), size=train.size, channels=train.channels)
                assert len(pixels) == len(chosen.indices), "an unreadable image was chosen"
                labels = torch.from_numpy(chosen.labels.astype(np.int64))
                keep(
                    f"payload, {share} of the pool", seed, Images(normalise(pixels), labels, train.class_names),
                    pool_features.values[chosen.indices], result_bytes=len(outcome.data),
                    bytes_down=teacher.bytes_down, bytes_up=teacher.bytes_up, teacher_accuracy=teacher.accuracy,
                )  # fmt: skip
        for name in args.central:
            folder = args.work / f"{name}-seed{seed}"
            what = f"distilled set, centralised, {name}"
            if (what, seed) not in known and (folder / "synthetic.json").is_file():
                images = load_synthetic(folder).as_pictures().images
                source = _Pictures(images, what)
                features = extract_features(student, source, cache=args.cache, progress=False).values
                keep(what, seed, images, features, result_bytes=source.size)
        for name, found in federated.items():
            per_class = found["arguments"]["images_per_class"]
            for what in (f"distilled set, {per_class} per class", f"random real images, {per_class} per class"):
                rows = [one for one in found["rows"] if (one["cell"], one["seed"]) == (args.cell, seed)]
                if (what, seed) in known or not rows:
                    continue
                facts: dict[str, Any] = {}
                if what.startswith("distilled"):
                    made = load_synthetic(args.work / folder_name(name, args.cell, seed)).as_pictures()
                    images = made.images
                    facts = {key: rows[0][key] for key in ("bytes_down", "bytes_up")}
                else:
                    images = random_subset(train, per_class, seed)
                source = _Pictures(images, what)
                features = extract_features(student, source, cache=args.cache, progress=False).values
                keep(what, seed, images, features, result_bytes=source.size, **facts)


def _table(teacher: Path, pool: Any, args: argparse.Namespace, home: Path) -> Any:
    """The score table that ``plada distill bridge`` makes, from cached features."""
    import shutil

    from plada_format.manifest import Manifest
    from plada_select.criteria import score_columns
    from plada_select.scoretable import Provenance, write_table
    from plada_train import extract_features, load_checkpoint

    manifest, checkpoint = Manifest.open(args.manifest), load_checkpoint(teacher)
    model = checkpoint.model
    found = extract_features(model, pool, cache=args.cache, description="pool, teacher")
    layer = model.module.get_classifier()
    logits = found.values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    columns = score_columns(logits)
    bad = found.status >= 128
    for column in ("energy", "entropy", "max_logit", "margin"):
        columns[column][bad] = np.nan
    columns["label"][bad] = 0
    columns["status"] = found.status
    rule = model.preprocess
    provenance = Provenance(
        manifest.fingerprint.hex(), len(manifest), len(checkpoint.class_names), checkpoint.digest, rule.digest(),
        "float32",
    )  # fmt: skip
    shutil.rmtree(home / "table", ignore_errors=True)
    facts = {
        "class_names": list(checkpoint.class_names), "preprocess": rule.to_json(), "teacher": model.arch,
        "teacher_digest": checkpoint.digest,
    }  # fmt: skip
    return write_table(home / "table", provenance, facts, columns)


if __name__ == "__main__":
    main()
