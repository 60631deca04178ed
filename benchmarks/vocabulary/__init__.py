"""PyTorch's own test samples (OpInfo) against the functions of allbps."""
