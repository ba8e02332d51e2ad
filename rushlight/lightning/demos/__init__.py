"""Small models and data to try the trainer with, under Lightning's names."""
