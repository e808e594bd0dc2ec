"""What one attack on one round comes to: `attack_scores` image by image, `linkage_pairs` by pairs of images."""
