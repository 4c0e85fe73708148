"""Measures of synthetic data. They judge samples or features, wherever those come from."""
