"""Comparisons with other strategies and predictors, made on request: the workflow itself needs none of this."""
