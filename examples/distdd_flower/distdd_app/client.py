"""What SuperNodes run. Each names its own data: --node-config 'partition-id=0 data="folder:/data/mine"'."""

from plada_distill.flower.client import make_client_app

app = make_client_app()
