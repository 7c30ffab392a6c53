"""Regression predictors: `model` predicts and needs only numpy, `fit` makes one and needs statsmodels."""
