"""From a trained model to files that other programs open, each opened again and compared before it counts."""
