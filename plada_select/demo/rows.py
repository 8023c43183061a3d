"""The demo's pool features: see :mod:`plada_select.rehearsal.rows`."""

from ..rehearsal.rows import LazyRows

__all__ = ["LazyRows"]
