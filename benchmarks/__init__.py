"""What the documentation claims, measured: `make bench` writes docs/benchmarks.md."""
