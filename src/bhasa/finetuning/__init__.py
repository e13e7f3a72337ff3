"""Fine-tuning: low-rank adapters on named projections, and merging them."""
