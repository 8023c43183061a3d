"""Fuzzing of the codec: structure-aware mutation of real payloads, an oracle, coverage-guided targets, a marathon."""
