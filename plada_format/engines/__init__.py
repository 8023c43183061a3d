"""Coding engines shared by the codecs: SPEC.md section 5, one module per building block."""
