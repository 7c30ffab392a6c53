"""A fitted predictor: a small JSON object that predicts, with intervals, without statsmodels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.predictor.link import IDENTITY, Link
from foxnas.space.arch import Arch
from foxnas.space.terms import FloatArray, Formula, Knobs

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """Predictions of several subnets, in the target's unit; arrays of one length.

    Intervals are those of the sums, through the link; under one that bends, `mean` is strictly the median.

    Attributes
    ----------
    mean
        The predicted value.
    standard_error
        Of that mean, by the link's slope there; NaN, like all that follow, for a predictor without its covariance
        (published coefficients).
    mean_lower, mean_upper
        95% confidence interval: where the mean of all such subnets lies, if the form is right.
    lower, upper
        95% prediction interval: where one new measurement of such a subnet falls.
    leverage
        x'(X'X)^-1 x. Above the largest leverage of the training rows the predictor extrapolates.
    """

    mean: FloatArray
    standard_error: FloatArray
    mean_lower: FloatArray
    mean_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    leverage: FloatArray


@dataclass(frozen=True)
class Uncertainty:
    """What intervals need: equation 3's residual standard error and (X'X)^-1, intercept first, on the link's scale.

    For a shrunk fit the latter is (X'X + penalty)^-1, so that intervals are those of the normal posterior.
    """

    residual_standard_error: float
    degrees_of_freedom: float
    """Rows less parameters; less effective parameters for a shrunk fit."""
    t_95: float
    """The 97.5% quantile of Student's t with `degrees_of_freedom`."""
    unscaled_covariance: tuple[Numbers, ...]


@dataclass(frozen=True)
class Coefficients:
    """Statistics of the coefficients, one entry per term of the formula (equations 4 and 5).

    The terms are collinear (see `variance_inflation`), so single coefficients trade against each other: their
    sums over a change of architecture are well determined where they are not. `standard_deviation` is that of
    the term over the rows: times the coefficient it is the standardised effect, on the link's scale. For a shrunk
    fit, `standard_error` is the posterior's, and t and p are no tests.
    """

    standard_error: Numbers
    t: Numbers
    p: Numbers
    variance_inflation: Numbers
    standard_deviation: Numbers


@dataclass(frozen=True)
class Quality:
    """How well a fit describes its rows, and rows it has not seen.

    `r2_press` is leave-one-out, `r2_cv` is by `folds` folds with a seeded shuffle; both compare held-out squared error
    with the variance about the mean of all rows. `rmse_*` and `mae_*` are root mean squared and mean absolute errors,
    in the target's unit; `tau_*` are Kendall's rank correlations of predicted and measured. In `adjusted_r2`
    (equation 7) k counts the intercept, 41 and 36 for the paper's formulas, and is `effective_parameters` in general.
    `shrinkage` is the penalty on squared standardised coefficients; 0 is ordinary least squares.
    """

    rows: int
    shrinkage: float
    effective_parameters: float
    r2: float
    adjusted_r2: float
    r2_press: float
    r2_cv: float
    rmse: float
    rmse_cv: float
    mae: float
    mae_cv: float
    tau: float
    tau_cv: float
    condition_number: float
    condition_number_standardised: float
    breusch_pagan_p: float
    shapiro_p: float
    intercept_standard_error: float
    intercept_t: float
    intercept_p: float
    largest_leverage: float
    folds: int
    seed: int


@dataclass(frozen=True)
class Rows:
    """The rows of a fit, in the order given; `studentised` leaves each row's own residual out of its scale."""

    id: tuple[str, ...]
    measured: Numbers
    fitted: Numbers
    residual: Numbers
    leverage: Numbers
    studentised: Numbers
    cooks_distance: Numbers
    held_out: Numbers
    """The row's prediction by the cross-validation fit that did not see it."""


@dataclass(frozen=True)
class Pooling:
    """The image sizes that were fitted together, and how much their coefficients share.

    `penalties` are those of `foxnas.predictor.partial_pooling`: on what all sizes have in common of a coefficient, on
    its slope and its curvature over the sizes, and on what a size has of its own; large ones are near nothing of it.
    """

    image_sizes: tuple[int, ...]
    rows: int
    """Of all sizes."""
    penalties: Numbers


@dataclass(frozen=True)
class Predictor:
    """Intercept plus one coefficient per term of `formula`, through the inverse link, for subnets of one image size.

    The last five fields are None for a predictor that was not fitted here (see `published`), and `pooling` for one
    whose image size was fitted by itself.
    """

    target: str
    unit: str
    image_size: int
    formula: Formula
    intercept: float
    coefficients: Numbers
    link: Link = IDENTITY
    uncertainty: Uncertainty | None = None
    statistics: Coefficients | None = None
    quality: Quality | None = None
    rows: Rows | None = field(default=None, repr=False)
    pooling: Pooling | None = None

    def __post_init__(self) -> None:
        if len(self.coefficients) != len(self.formula.terms):
            raise FoxnasError(
                f"predictor of {self.target}: {len(self.coefficients)} coefficients, but formula "
                f"{self.formula.name!r} has {len(self.formula.terms)} terms in this space"
            )
        if not np.isfinite([self.intercept, *self.coefficients]).all():
            raise FoxnasError(f"predictor of {self.target} at {self.image_size} px has a coefficient that is no number")

    @classmethod
    def published(
        cls, target: str, unit: str, image_size: int, formula: Formula, intercept: float, coefficients: Sequence[float]
    ) -> Self:
        """Return a predictor from printed coefficients; it has no intervals and no leverage."""
        return cls(target, unit, image_size, formula, float(intercept), tuple(map(float, coefficients)))

    def predict(self, archs: Sequence[Arch]) -> Prediction:
        """Predict the target of subnets of this image size, with 95% prediction intervals.

        Raises FoxnasError for a subnet of another image size or number of units.
        """
        for arch in archs:
            if arch.image_size != self.image_size:
                raise FoxnasError(
                    f"{arch.text}: the predictor of {self.target} is for {self.image_size} px, "
                    f"the subnet for {arch.image_size}; take the predictor of its size"
                )
        design = self.formula.matrix(archs)
        sums = self.intercept + design @ np.asarray(self.coefficients)
        mean = self.link.inverse(sums)
        if self.uncertainty is None:
            unknown = np.full(len(mean), np.nan)
            return Prediction(mean, *(unknown,) * 6)
        x = np.column_stack([np.ones(len(design)), design])
        leverage = np.einsum("ij,jk,ik->i", x, self._covariance, x)
        scale, t_95 = self.uncertainty.residual_standard_error, self.uncertainty.t_95
        error = scale * np.sqrt(leverage)
        confident, half = t_95 * error, t_95 * scale * np.sqrt(1 + leverage)
        back = self.link.inverse
        return Prediction(
            mean, error * self.link.slope(mean), back(sums - confident), back(sums + confident), back(sums - half),
            back(sums + half), leverage,
        )  # fmt: skip

    def drawn(self, rng: np.random.Generator) -> Self:
        """Return the predictor with coefficients drawn from their normal posterior. It must be a fitted one."""
        assert self.uncertainty is not None
        scale = self.uncertainty.residual_standard_error
        found = rng.multivariate_normal(np.r_[self.intercept, self.coefficients], scale**2 * self._covariance)
        return replace(self, intercept=float(found[0]), coefficients=tuple(found[1:].tolist()))

    @property
    def residual_standard_error(self) -> float:
        """Equation 3's, in the target's unit. The predictor must be a fitted one."""
        assert self.uncertainty is not None
        assert self.quality is not None
        return float(self.quality.rmse * np.sqrt(self.quality.rows / self.uncertainty.degrees_of_freedom))

    @property
    def mean_slope(self) -> float:
        """What a sum's unit is worth in the target's, on average over the rows: 1 for the identity."""
        return 1.0 if self.rows is None else float(np.mean(self.link.slope(self.rows.fitted)))

    @cached_property
    def _covariance(self) -> FloatArray:
        assert self.uncertainty is not None
        return np.asarray(self.uncertainty.unscaled_covariance)

    def to_json(self) -> dict[str, Any]:
        """Return an object that `from_json` reads back to an equal predictor."""
        value = asdict(self)
        knobs = asdict(self.formula.knobs)
        value["formula"] = {"name": self.formula.name, **{k: v for k, v in knobs.items() if k != "own" or v}}
        value["terms"] = list(self.formula.terms)
        value["link"] = {"name": self.link.name, "asymptote": self.link.asymptote}
        # A size fitted by itself has the file that it had before there was another way.
        if self.pooling is None:
            del value["pooling"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises FoxnasError when a part is missing or the terms are not this version's."""
        try:
            described = {"own": (), **value["formula"]}
            name, *knobs = (described[key] for key in ("name", *(f.name for f in fields(Knobs))))
            formula = Formula(name, Knobs(*map(_frozen, knobs)))
            if list(formula.terms) != list(value["terms"]):
                raise FoxnasError(f"its terms are not those of formula {name!r}; fit it again")
            parts: dict[str, Any] = {
                key: None if value[key] is None else kind(**{k: _frozen(v) for k, v in value[key].items()})
                for key, kind in _PARTS.items()
                if key in value or key != "pooling"
            }
            head = (value["target"], value["unit"], int(value["image_size"]), formula, float(value["intercept"]))
            # Files of 0.1.0 have no link: they are all of the paper's.
            link = Link(value.get("link", {"asymptote": None})["asymptote"])
            return cls(*head, tuple(map(float, value["coefficients"])), link, **parts)
        except (KeyError, TypeError, ValueError) as error:
            raise FoxnasError(f"is not a predictor of this version ({error!r}); delete it and run again") from error

    def save(self, path: Path, made_by: Mapping[str, Any]) -> None:
        """Write the predictor, and what made it, as JSON."""
        from foxnas.files.tables import write_json  # pandas comes with it, which the search does not need

        write_json(path, {"made_by": dict(made_by), **self.to_json()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises FoxnasError naming the file."""
        from foxnas.files.tables import read_json

        try:
            return cls.from_json(read_json(path))
        except FoxnasError as error:
            raise error if str(path) in str(error) else FoxnasError(f"{path}: {error}") from error


_PARTS: Mapping[str, Any] = {
    "uncertainty": Uncertainty, "statistics": Coefficients, "quality": Quality, "rows": Rows, "pooling": Pooling,
}  # fmt: skip


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
