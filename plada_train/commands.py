"""Command-line parsers of this part: pool, train, evaluate, export. Imports nothing heavy; the work is in
plada_train.cli.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plada_format.cli.parts import Subparsers

_SPEC = "folder:DIR, tar:SHARDS, parquet:FILES or npz:FILES (prefix optional; comma list, {00..12}, *, URL)"


def register(subparsers: Subparsers) -> None:
    """Add pool, train, evaluate and export."""
    _add_pool(subparsers)
    _add_train(subparsers)
    _add_evaluate(subparsers)
    _add_export(subparsers)


def run(args: argparse.Namespace) -> int:
    """Run the command that the parser chose."""
    from .device import calm_threads

    calm_threads()
    from .cli import HANDLERS

    return HANDLERS[args.action](args)


def _add_pool(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "pool",
        help="make the manifest of a pool, show it, compare images with it",
        description="A pool is an ordered collection of images; its manifest lists their keys and SHA-256 digests.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="hash all images and write the manifest",
        description="Hash all images in parallel and write the manifest. A killed build goes on where it was.",
    )
    build.add_argument("source", metavar="SOURCE", help=_SPEC)
    build.add_argument("manifest", metavar="MANIFEST", help="file to write (.pladapool)")
    build.add_argument("--name", metavar="TEXT", help="name of the pool, for people (default: the file's name)")
    build.add_argument("--no-groups", action="store_true", help="do not record groups (folders)")
    build.add_argument("--decode", action="store_true", help="also decode every image and count what came of it")
    build.add_argument("--force", action="store_true", help="replace MANIFEST if it exists")
    _common(build, "pool-build", json=True)

    info = actions.add_parser("info", help="show a manifest", description="Show what a manifest says about its pool.")
    info.add_argument("manifest", metavar="MANIFEST")
    info.add_argument("--groups", action="store_true", help="list all groups with their sizes")
    _common(info, "pool-info", json=True, threads=False)

    verify = actions.add_parser(
        "verify",
        help="compare images with a manifest",
        description=(
            "Compare the SHA-256 of images with the manifest: of all, of a sample, or of those that a payload keeps. "
            "Exit code 5 if any is missing, changed or unreadable. A killed run goes on where it was."
        ),
    )
    verify.add_argument("source", metavar="SOURCE", help=_SPEC)
    verify.add_argument("manifest", metavar="MANIFEST")
    which = verify.add_mutually_exclusive_group()
    which.add_argument("--sample", metavar="N", type=_positive, help="only N images, drawn with --seed")
    which.add_argument("--payload", metavar="FILE", help="only the images that this payload keeps")
    verify.add_argument("--seed", metavar="N", type=int, default=0, help="of the sample (default 0)")
    verify.add_argument("--decode", action="store_true", help="also decode, and count what came of it")
    verify.add_argument(
        "--list", metavar="FILE", help="write kind, pool index and key of every bad image (tab separated)"
    )
    verify.add_argument("--no-resume", action="store_true", help="start anew")
    _common(verify, "pool-verify", json=True)


def _add_train(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a classifier from a payload and the pool",
        description=(
            "Join a payload with the pool's images, check both, and train any timm model. By default few images train "
            "a linear classifier on frozen features; all weights are tuned only where that helps on held-out images."
        ),
    )
    parser.add_argument("payload", metavar="PAYLOAD")
    _pool_options(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="where the trained model goes")
    parser.add_argument("--arch", metavar="NAME", default="resnet18", help="timm model (default resnet18)")
    parser.add_argument(
        "--weights",
        metavar="W",
        default="hub",
        help="hub (default), wheel, none, or a .safetensors file with timm's names",
    )
    parser.add_argument(
        "--recipe",
        choices=("auto", "head", "mlp", "finetune", "scratch", "paper"),
        default="auto",
        help="auto (default): by number of images and held-out accuracy; paper: AdamW 1e-3, cosine, 5 or 30 epochs",
    )
    parser.add_argument("--targets", choices=("hard", "average", "dirichlet"), default="hard", help="default hard")
    parser.add_argument("--no-weights", action="store_true", help="ignore the payload's image weights")
    parser.add_argument("--input-size", metavar="PX", type=_positive, help="default: what the payload or timm says")
    parser.add_argument("--test", metavar="SPEC", help="labelled images to evaluate on, split 'test'")
    parser.add_argument("--onnx", action="store_true", help="also write DIR/model.onnx")
    recipe = parser.add_argument_group("changes to the recipe")
    for name, kind in (("epochs", _positive), ("batch-size", _positive), ("lr", float), ("weight-decay", float)):
        recipe.add_argument(f"--{name}", metavar="N", type=kind)
    recipe.add_argument("--augment", choices=("none", "flip", "crop"))
    recipe.add_argument("--amp", choices=("auto", "off"), help="auto (default): bfloat16 on a GPU that has it")
    recipe.add_argument("--hidden", metavar="N", type=_positive, help="width of the hidden layer of recipe mlp")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="default 0")
    parser.add_argument("--force", action="store_true", help="replace a model in DIR, forget a half-finished run")
    _compute(parser)
    _common(parser, "train", json=False)


def _add_evaluate(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="accuracy of a trained model on labelled images",
        description="Accuracy, accuracy per class and confusion matrix. Images that cannot be decoded count as wrong.",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a trained model")
    parser.add_argument("data", metavar="DATA", help="labelled images: folder with test/<class>/, Parquet, packed npz")
    parser.add_argument("--split", choices=("train", "val", "test", "trainval"), default="test", help="default test")
    parser.add_argument("--out", metavar="FILE", help="write everything as JSON")
    _compute(parser)
    _common(parser, "evaluate", json=True)


def _add_export(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "export",
        help="write payload and pool as a dataset for other trainers",
        description="Write the images that a payload keeps, with their labels, for trainers that know nothing of it.",
    )
    parser.add_argument("payload", metavar="PAYLOAD")
    parser.add_argument("output", metavar="OUTPUT")
    _pool_options(parser)
    parser.add_argument(
        "--format",
        choices=("parquet", "csv", "folder"),
        help="parquet (Hugging Face), csv listing, or class folders; default: by OUTPUT's ending",
    )
    parser.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    _common(parser, "export", json=False)


def _pool_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pool")
    group.add_argument("--pool", metavar="SPEC", required=True, help=_SPEC)
    group.add_argument("--manifest", metavar="FILE", required=True, help="manifest of the pool (.pladapool)")
    group.add_argument(
        "--missing", choices=("fail", "drop"), default="fail", help="what to do about missing or changed images"
    )
    group.add_argument("--allow-unidentified", action="store_true", help="accept a payload that does not name its pool")


def _compute(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("computing")
    group.add_argument("--device", metavar="NAME", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    group.add_argument("--cache", metavar="DIR", help="keep features of frozen backbones here")
    group.add_argument("--workers", metavar="N", type=int, default=0, help="decoding processes instead of threads")
    group.add_argument("--deterministic", action="store_true", help="only deterministic algorithms")


def _common(parser: argparse.ArgumentParser, action: str, *, json: bool, threads: bool = True) -> None:
    if threads:
        parser.add_argument("--threads", metavar="N", type=_positive, help="threads (default: all usable cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, action=action)


def _positive(text: str) -> int:
    plain = text.replace(",", "").replace("_", "")
    if not (plain.isascii() and plain.isdigit()) or int(plain) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(plain)
