"""FOX-NAS: fast, on-device and explainable neural architecture search (arXiv 2108.08189)."""
