"""The import of timm: plain where that works, repaired where torchvision's operators do not load."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_real_import() -> None:
    """Repairs exactly if the plain import fails here with the known message."""
    out = run(
        """
        from plada_train.timm_guard import import_timm, was_needed
        timm = import_timm()
        assert import_timm() is timm
        model = timm.create_model("test_resnet")
        print(was_needed())
        """
    )
    plain = subprocess.run([sys.executable, "-c", "import timm"], capture_output=True, text=True, timeout=300)
    assert out.strip() == str("operator torchvision::nms does not exist" in plain.stderr)


def test_broken_torchvision_is_repaired(tmp_path) -> None:
    """A stand-in for torchvision that fails as the real one does without its operators, on every machine."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\nfrom . import half_loaded\n"
        "torch.library.register_fake('torchvision::nms')(lambda dets, scores, iou_threshold: dets)\n"
    )
    (package / "half_loaded.py").write_text("")
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("import torchvision\nloaded = True\n")
    out = run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        try:
            import timm
        except RuntimeError as problem:
            print(problem)
        from plada_train.timm_guard import import_timm, was_needed
        print(import_timm().loaded, was_needed())
        import torch
        print(torch.ops.torchvision.nms.default._schema)
        """
    )
    first, second, third = out.strip().splitlines()
    assert "operator torchvision::nms does not exist" in first
    assert second == "True True"
    assert third == "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def test_working_torchvision_is_left_alone(tmp_path) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("")
    out = run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from plada_train.timm_guard import import_timm, was_needed
        import_timm()
        print(was_needed(), "torch" in sys.modules)
        """
    )
    assert out.split() == ["False", "False"]


def test_other_failures_pass_through(tmp_path) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("raise RuntimeError('something else')\n")
    out = run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from plada_train.timm_guard import import_timm, was_needed
        try:
            import_timm()
        except RuntimeError as problem:
            print(problem, was_needed())
        """
    )
    assert out.strip() == "something else False"


def test_light_imports() -> None:
    """The package and its parsers load neither torch nor numpy: ``plada --help`` must stay fast."""
    out = run(
        """
        import sys, argparse
        import plada_train, plada_train.commands
        plada_train.commands.register(argparse.ArgumentParser().add_subparsers())
        print([name for name in ("torch", "numpy", "timm", "PIL", "plada_format.manifest") if name in sys.modules])
        missing = [name for name in plada_train.__all__ if getattr(plada_train, name, None) is None]
        print(missing)
        """
    )
    assert out.split("\n")[:2] == ["[]", "[]"]
