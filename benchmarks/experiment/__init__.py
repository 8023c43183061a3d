"""The experiment of docs/results.md: see run.py."""
