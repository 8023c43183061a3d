"""``plada teach``, ``plada score`` and ``plada select``: the parsers, and handlers that import the heavy parts when
they run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: Subparsers) -> None:
    """Add the server's commands."""
    from .experiment_commands import register as register_experiment

    _add_teach(subparsers)
    _add_score(subparsers)
    _add_select(subparsers)
    register_experiment(subparsers)


def _add_teach(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("teach", help="train the teacher on a labelled target dataset")
    parser.add_argument("target", help="labelled dataset: folder with train/[val/]test, Parquet, or packed npz")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="checkpoint folder")
    parser.add_argument("--arch", default="convnextv2_tiny", help="any timm model (default: %(default)s)")
    parser.add_argument(
        "--weights", default="hub", metavar="W", help="none | hub | wheel | FILE.safetensors (default: %(default)s)"
    )
    parser.add_argument(
        "--mode",
        default="auto",
        choices=("auto", "head", "mlp", "finetune", "scratch", "paper"),
        help="head, mlp: on features of the frozen backbone; finetune: all weights; paper: the paper's recipe",
    )
    parser.add_argument(
        "--input-size", type=int, metavar="PX", help="side of the model's input (default: the model's own)"
    )
    parser.add_argument(
        "--val-fraction", type=float, default=0.2, metavar="P", help="held out where the target has no validation split"
    )
    parser.add_argument("--use-val", action="store_true", help="train on the validation images too, in the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="replace a teacher in DIR, forget a half-finished run")
    recipe = parser.add_argument_group("changes to the recipe")
    recipe.add_argument("--epochs", type=int, metavar="N")
    recipe.add_argument("--train-batch-size", type=int, metavar="N", help="images per training step")
    recipe.add_argument("--lr", type=float, metavar="R")
    recipe.add_argument("--weight-decay", type=float, metavar="W")
    recipe.add_argument("--augment", choices=("none", "flip", "crop"))
    recipe.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs without a better validation accuracy (default: a quarter of the epochs)",
    )
    recipe.add_argument("--amp", choices=("auto", "off"), help="auto (default): bfloat16 on a GPU that has it")
    recipe.add_argument("--hidden", type=int, metavar="N", help="width of the hidden layer of --mode mlp")
    parser.add_argument("--batch-size", type=int, default=64, help="of feature extraction (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="decoding processes in place of threads")
    parser.add_argument("--deterministic", action="store_true", help="only deterministic algorithms")
    parser.add_argument("--threads", type=int, help="threads (default: all usable cores)")
    parser.add_argument("--cache", metavar="DIR", help="folder for features of the frozen backbone")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=run_teach)


def _add_score(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "score",
        help="run the teacher over the pool once, into a score table",
        description="Runs the missing chunks of the table; a killed run started again goes on where it was.",
    )
    parser.add_argument("--table", required=True, metavar="DIR", help="folder of the score table")
    parser.add_argument("--teacher", metavar="DIR", help="checkpoint folder of 'plada teach'")
    parser.add_argument("--pool", metavar="MANIFEST", help="pool manifest of 'plada pool build'")
    parser.add_argument(
        "--images", metavar="SOURCE", help="the pool's images: folder, tar shards, Parquet, or packed npz"
    )
    parser.add_argument(
        "--merge", nargs="+", metavar="DIR", help="gather these tables' chunks in --table, score nothing"
    )
    parser.add_argument(
        "--shard", default="0/1", metavar="I/N", help="run only every N-th chunk, from the I-th (0/4 to 3/4)"
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="T of the energy (default: %(default)s, as in the paper)"
    )
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="auto: bfloat16 on a GPU, float32 on a CPU",
    )
    parser.add_argument(
        "--compile",
        default="off",
        choices=("off", "auto", "on"),
        help="torch.compile; auto: timed trial, with fallback",
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, help="decoding threads (default: by the machine)")
    parser.add_argument("--workers", type=int, default=0, help="decoding processes in place of threads")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    parser.add_argument("--no-check", action="store_true", help="do not compare the images' SHA-256 with the manifest")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run_score)


def _add_select(subparsers: Subparsers) -> None:
    from .rehearsal.flags import add_flags

    parser = subparsers.add_parser("select", help="choose pool images from a score table and write the payload")
    parser.add_argument("table", help="score table folder")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="payload to write")
    parser.add_argument(
        "--pool", required=True, metavar="MANIFEST", help="pool manifest; a table of another pool is refused"
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--keep", metavar="P", help="fraction of the pool: 1%% or 0.01")
    size.add_argument("--count", type=int, metavar="N", help="number of images")
    size.add_argument("--budget", metavar="SIZE", help="bytes of the whole file: 900, 20kB (1000), 20KiB (1024), 1MB")
    parser.add_argument(
        "--allow-missing-classes", action="store_true", help="with --budget: smaller than one image per class is fine"
    )
    parser.add_argument(
        "--criterion",
        default="energy",
        choices=("energy", "entropy", "max_logit", "margin", "random", "consensus"),
        help="default: %(default)s",
    )
    parser.add_argument("--consensus-of", nargs="+", metavar="C", help="criteria of the consensus (default: all four)")
    parser.add_argument(
        "--direction", default="low", choices=("low", "high"), help="low: most confident first (default)"
    )
    parser.add_argument("--safety-net", action="store_true", help="class quotas")
    parser.add_argument(
        "--alpha", default="0", help="quota of class c ~ N_c^alpha (default: %(default)s, equal quotas)"
    )
    parser.add_argument(
        "--class-factor", action="append", default=[], metavar="CLASS=F",
        help="times the quota of that class (name or id); repeatable",
    )  # fmt: skip
    parser.add_argument("--share", default="1", help="part of the images given out by quota (default: %(default)s)")
    parser.add_argument(
        "--rate",
        default="0",
        metavar="LAMBDA",
        help="weigh an image's rank against its bits: LAMBDA doublings of the rank within its class for a bit",
    )
    parser.add_argument(
        "--agreement",
        default="0",
        metavar="TAU",
        help="pass over images whose label is rare in their group: TAU doublings of the rank for a bit of surprise",
    )
    parser.add_argument(
        "--spread",
        type=int,
        default=0,
        metavar="N",
        help="send what lies furthest apart in --embedding, among N times as many candidates of each class",
    )
    parser.add_argument("--embedding", metavar="FILE.npy", help="features of the pool, in its order")
    parser.add_argument("--seed", type=int, default=0, help="of the random criterion")
    parser.add_argument("--weights", type=float, metavar="T", help="send importance weights ~ exp(-score / T)")
    parser.add_argument(
        "--soft-labels", action="store_true", help="send per-class average soft labels (needs --teacher and --images)"
    )
    parser.add_argument("--teacher", metavar="DIR", help="for --soft-labels: the checkpoint that scored the table")
    parser.add_argument("--images", metavar="SOURCE", help="for --soft-labels and --report: the pool's images")
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="add to the metadata; an empty value removes",
    )
    parser.add_argument(
        "--profile", default="compact", choices=("baseline", "compact", "full"), help="codecs (default: %(default)s)"
    )
    parser.add_argument("--use-groups", action="store_true", help="let the codec use the pool's groups")
    parser.add_argument("--report", metavar="FILE.html", help="write a report beside it")
    parser.add_argument("--force", action="store_true", help="replace an existing payload")
    add_flags(parser)
    parser.set_defaults(run=run_select)


def run_teach(args: argparse.Namespace) -> int:
    """``plada teach``."""
    import shutil
    from pathlib import Path

    from plada_train import set_up_torch
    from plada_train.cli.models import print_odd_images

    from .teach import teach

    set_up_torch(args.threads, args.deterministic)
    if args.force:
        shutil.rmtree(Path(args.output) / "resume", ignore_errors=True)
    metrics = teach(
        args.target,
        args.output,
        arch=args.arch,
        weights=args.weights,
        mode=args.mode,
        input_size=args.input_size,
        val_fraction=args.val_fraction,
        use_val=args.use_val,
        hidden=args.hidden,
        changes={
            "epochs": args.epochs,
            "batch_size": args.train_batch_size,
            "lr": args.lr,
            "weight_decay": args.weight_decay,
            "augment": args.augment,
            "patience": args.patience,
            "amp": args.amp,
        },
        batch_size=args.batch_size,
        threads=args.threads,
        workers=args.workers,
        overwrite=args.force,
        seed=args.seed,
        cache=args.cache,
        device=args.device,
        progress=not args.quiet,
    )
    for name, value in metrics.items():
        if isinstance(value, (int, float, str)):
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    print_odd_images(metrics.get("status", {}))
    print(f"teacher: {args.output}")
    return 0


def run_score(args: argparse.Namespace) -> int:
    """``plada score``."""
    from plada_format.errors import UserError

    from .scoretable import merge, missing_chunks, read_table_json

    if args.merge:
        folder = merge(args.merge, args.table)
        provenance, _ = read_table_json(folder)
        gone = missing_chunks(folder, provenance)
        print(
            f"{folder}: {provenance.num_chunks - len(gone)} of {provenance.num_chunks} chunks,"
            f" {provenance.pool_size} images"
        )
        if gone:
            print(f"plada: warning: {len(gone)} chunks are still missing (first: {gone[0]})", file=sys.stderr)
        return 0
    missing = [f"--{name}" for name in ("teacher", "pool", "images") if getattr(args, name) is None]
    if missing:
        raise UserError(f"score: {', '.join(missing)} missing (or --merge to gather shards)")
    import plada_format as pf
    from plada_train import load_checkpoint, open_source, set_up_torch
    from plada_train.pool_order import in_pool_order

    from .score import open_context, parse_shard, score_pool

    shard = parse_shard(args.shard)
    set_up_torch()
    manifest = pf.Manifest.open(args.pool)
    context = open_context(
        in_pool_order(open_source(args.images), manifest),
        manifest,
        load_checkpoint(args.teacher),
        args.table,
        device=args.device,
        dtype=args.dtype,
        temperature=args.temperature,
        batch_size=args.batch_size,
        compile_model=args.compile,
        threads=args.threads,
        workers=args.workers,
        check_digests=not args.no_check,
        sharded=shard[1] > 1,
    )
    reports = score_pool(context, shard=shard, progress=not args.quiet)
    if reports:
        print(context.meter.line())
    unusable = sum(report.unusable for report in reports)
    if unusable:
        print(f"plada: warning: {unusable} images could not be read; they are never selected", file=sys.stderr)
    gone = missing_chunks(context.folder, context.provenance)
    total = context.provenance.num_chunks
    print(f"{args.table}: {total - len(gone)} of {total} chunks, {len(reports)} of them scored now")
    return 0


def run_select(args: argparse.Namespace) -> int:
    """``plada select``."""
    from plada_format.errors import UserError
    from plada_format.manifest import Manifest

    from .pipeline import refuse_existing, select_payload, write_outcome
    from .refine import Refine
    from .rehearsal.flags import check_flags
    from .safety_net import SafetyNet, parse_factors
    from .scoretable import ScoreTable
    from .select import Policy, parse_bytes
    from .spread import read_embedding

    check_flags(args)
    if args.policy == "auto" and not args.force:
        refuse_existing(args.output)  # before minutes of work
    manifest = Manifest.open(args.pool)
    table = ScoreTable.open(args.table, pool_fingerprint=manifest.fingerprint, pool_size=len(manifest))
    factors = parse_factors(args.class_factor, table.task.get("class_names") or [])
    if factors and not args.safety_net:
        raise UserError("select: --class-factor changes a class's quota; give --safety-net too")
    more = {} if args.consensus_of is None else {"consensus_of": tuple(args.consensus_of)}
    policy = Policy(
        criterion=args.criterion,
        direction=args.direction,
        safety_net=SafetyNet(args.alpha, args.share, factors) if args.safety_net else None,
        seed=args.seed,
        refine=Refine(args.rate, args.agreement, args.spread) or None,
        **more,
    )
    metadata = {}
    for text in args.metadata:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UserError(f"metadata: {text!r} is not KEY=VALUE")
        metadata[key] = value
    options: dict[str, Any] = {"profile": args.profile}
    if args.use_groups:
        if manifest.group_starts is None:
            raise UserError(f"{args.pool}: the pool has no groups; leave out --use-groups")
        options["groups"] = manifest.group_starts
    wish: dict[str, Any] = {
        "keep": args.keep,
        "count": args.count,
        "budget": None if args.budget is None else parse_bytes(args.budget),
        "allow_missing_classes": args.allow_missing_classes,
        "weight_temperature": args.weights,
        "encode_options": options,
        "group_starts": manifest.group_starts,
        "embedding": None if args.embedding is None else read_embedding(args.embedding, len(manifest)),
    }
    if args.soft_labels:
        matrix, precision = _soft_labels(args, table, policy, manifest, {**wish, "metadata": metadata})
        wish["soft_labels"] = matrix
        metadata = {"dirichlet_precision": precision, **metadata}
    rehearsal = None
    if args.policy == "auto":
        from .rehearsal.command import select_auto

        rehearsal = select_auto(args, table, manifest, wish["budget"], {**wish, "metadata": metadata})
        policy, wish = rehearsal.chosen.policy, {**wish, "budget": None, "count": rehearsal.chosen.count}
    outcome = select_payload(table, policy, metadata=metadata, **wish)
    if rehearsal is not None:
        from .rehearsal import write_rehearsal

        outcome.record["request"] |= {"budget": rehearsal.budget, "policy": "auto"}
        write_rehearsal(rehearsal, outcome.data, args.output)
    write_outcome(outcome, args.output, overwrite=args.force)
    for line in outcome.warnings:
        print(f"plada: warning: {line}", file=sys.stderr)
    print(
        f"{args.output}: {len(outcome.data)} bytes, {len(outcome.selection)} of {len(table)} images,"
        f" {table.num_classes} classes"
    )
    if args.report:
        _report(args)
    return 0


def _soft_labels(
    args: argparse.Namespace, table: Any, policy: Any, manifest: Any, wish: dict[str, Any]
) -> tuple[Any, str]:
    """Soft labels of the images that are kept without them; with a budget that is a superset of those that fit beside
    them."""
    from plada_format.errors import UserError

    missing = [f"--{name}" for name in ("teacher", "images") if getattr(args, name) is None]
    if missing:
        raise UserError(f"--soft-labels needs {' and '.join(missing)}: the average is over the kept images")
    from plada_train import load_checkpoint, open_source, set_up_torch
    from plada_train.pool_order import in_pool_order

    from .pipeline import select_payload
    from .score import reopen_context
    from .soft import average_soft_labels, precision_text

    set_up_torch()
    context = reopen_context(
        in_pool_order(open_source(args.images), manifest), manifest, load_checkpoint(args.teacher), table.folder
    )
    first = select_payload(table, policy, **wish).selection
    moments = average_soft_labels(context, first.indices, first.labels)
    return moments.averages(), precision_text(moments)


def _report(args: argparse.Namespace) -> None:
    from plada_format.errors import UserError

    try:
        from .report import write_selection_report
    except ModuleNotFoundError as reason:
        raise UserError(f"--report needs {reason.name}; install plada[report]") from None
    write_selection_report(args.output, args.report, images=args.images, manifest=args.pool)
