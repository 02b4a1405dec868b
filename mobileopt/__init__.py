"""Benchmarks and regression tracking for PyTorch models on their way to phones."""
