"""``make demo``: the whole job on real images, with the commands that a user would type.

Importing this package imports nothing heavy; ``python -m plada_select.demo`` runs it.
"""
