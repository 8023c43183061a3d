"""What the SuperLink runs."""

from plada_distill.flower.server import make_server_app

app = make_server_app()
