"""Where ``plada_format.join`` comes from. Import it from ``plada_format``: this module has the name of its function."""

from __future__ import annotations

from .manifest.joining import check_pool, join

__all__ = ["check_pool", "join"]
