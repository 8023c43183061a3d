"""Every decoder on the same files: vectors and fresh mutants (README.md)."""
