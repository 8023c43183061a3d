"""Sizes and times of the adaptive codecs against general compressors."""
