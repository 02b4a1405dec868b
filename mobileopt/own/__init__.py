"""A user's own: models from factories and programs, weights, example inputs and batches of data."""
