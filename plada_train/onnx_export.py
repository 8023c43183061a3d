"""A classifier as an ONNX file for clients without PyTorch."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .models import LoadedModel

if TYPE_CHECKING:
    import torch


def export_onnx(model: LoadedModel, path: Path | str, *, class_names: Sequence[str] | None = None) -> Path:
    """Write ``path``: input ``pixels`` float32 (N, 3, S, S), RGB from 0 to 255, S the model's input size; output
    ``logits`` (N, K).

    Normalisation is part of the graph; resizing is not. N is free. Class names and the input rule are in the metadata.

    Args:
        model: any classifier.
        path: target file, replaced if there.
        class_names: kept in the metadata.

    Raises:
        UserError: onnx and onnxscript are not installed, or the network cannot be exported.
        OSError: the file cannot be written.
    """
    import torch

    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as problem:
        raise UserError(f"ONNX export needs {problem.name} (pip install 'plada[train]')") from None
    rule = model.preprocess
    wrapped = _with_normalisation(model).eval()
    sample = torch.rand(2, 3, rule.input_size, rule.input_size) * 255
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                wrapped,
                (sample,),
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
                dynamo=True,
                verbose=False,
            )
    except Exception as problem:  # the exporter has no common error
        raise UserError(f"{model.arch} cannot be exported: {str(problem).strip().splitlines()[0]}") from None
    assert program is not None
    proto = program.model_proto
    facts = {"arch": model.arch, "preprocess": json.dumps(rule.to_json())}
    if class_names is not None:
        facts["class_names"] = json.dumps(list(class_names), ensure_ascii=False)
    onnx.helper.set_model_props(proto, facts)
    buffer = io.BytesIO(proto.SerializeToString())
    with atomic_write(path) as file:
        file.write(buffer.getvalue())
    return Path(path)


def _with_normalisation(model: LoadedModel) -> torch.nn.Module:
    import torch

    class WithNormalisation(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = copy.deepcopy(model.module).cpu()
            mean, std = torch.tensor(model.preprocess.mean), torch.tensor(model.preprocess.std)
            self.shift = torch.nn.Buffer((mean * 255).view(1, 3, 1, 1))
            self.scale = torch.nn.Buffer((1 / (std * 255)).view(1, 3, 1, 1))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net((pixels - self.shift) * self.scale)
            return logits

    return WithNormalisation()
