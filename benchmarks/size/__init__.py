"""The size table: every other format's bytes beside ours, on uniform, simulated and real selections."""
