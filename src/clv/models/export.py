"""A fitted candidate as one ONNX graph, so that serving needs neither scikit-learn nor a pickle.

The graph takes `activity`, float32 of shape (n, 3), and gives two columns of float32: `expected`,
the increment or the total as `exported_target` says, and `p_return`. Converters write the leaves;
this module joins them with the few operations that our estimators add.
"""

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import onnx
from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as LightGBMFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge

from clv.models.estimators import (
    AverageRegressor,
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
    ReturnClassifier,
)

__all__ = ["INPUT", "export", "exported_target"]

INPUT = "activity"
_OUTPUTS = ("expected", "p_return")
# The newest opset that both converters know.
_OPSETS = {"": 15, "ai.onnx.ml": 3}

Target = Literal["increment", "total"]


def exported_target(estimator: Any) -> Target:
    """What the graph of this estimator gives."""
    if isinstance(estimator, AverageRegressor):
        targets = {exported_target(member) for member in estimator.regressors_}
        return "increment" if targets == {"increment"} else "total"
    return (
        "increment" if isinstance(estimator, IncrementRegressor | PersistenceRegressor) else "total"
    )


def export(estimator: Any, returning: ReturnClassifier) -> bytes:
    """The graph of a fitted candidate and of the probability of return, checked and serialised.

    Raises
    ------
    TypeError
        Where nobody has written how to export this kind of estimator.
    """
    builder = _Builder()
    for part, output in zip((estimator, returning), _OUTPUTS, strict=True):
        builder.node("Identity", [builder.add(part)], output=output)
    graph = helper.make_graph(
        builder.nodes,
        "clv",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, 3])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])
            for output in _OUTPUTS
        ],
        builder.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, n) for domain, n in _OPSETS.items()],
        producer_name="clv",
    )
    model.ir_version = 8  # as old as the operators allow, so that older runtimes can load it
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Builder:
    """Collects nodes; every method that adds some returns the name of their output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def add(self, estimator: Any) -> str:
        """Append the graph of an estimator."""
        for kind, append in _EXPORTERS.items():
            if isinstance(estimator, kind):
                return append(self, estimator)
        raise TypeError(
            f"{type(estimator).__name__} cannot be exported to ONNX; "
            "add it to clv.models.export._EXPORTERS."
        )

    def node(self, operation: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Append one operation."""
        output = output or self._fresh(operation)
        domain = attributes.pop("domain", "")
        self.nodes.append(
            helper.make_node(operation, inputs, [output], domain=domain, **attributes)
        )
        return output

    def constant(self, values: Any, kind: int = TensorProto.FLOAT) -> str:
        """Append a constant tensor."""
        array = np.asarray(values)
        name = self._fresh("constant")
        self.constants.append(helper.make_tensor(name, kind, array.shape, array.ravel().tolist()))
        return name

    def embed(self, model: Any, output: str) -> str:
        """Append a converted model, its names made unique, and return the name of `output`."""
        prefix = self._fresh("part") + "_"
        part = onnx.compose.add_prefix(model, prefix)
        self.nodes.append(helper.make_node("Identity", [INPUT], [part.graph.input[0].name]))
        self.nodes.extend(part.graph.node)
        self.constants.extend(part.graph.initializer)
        return prefix + output

    def linear(self, coefficients: Any, intercept: float) -> str:
        """Append x . coefficients + intercept."""
        product = self.node("MatMul", [INPUT, self.constant(np.reshape(coefficients, (3, 1)))])
        return self.node("Add", [product, self.constant([intercept])])

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name.lower()}{self._count}"


def _average(builder: _Builder, model: AverageRegressor) -> str:
    targets = {exported_target(member) for member in model.regressors_}
    if len(targets) > 1:
        raise TypeError("An average of increments and totals cannot be exported; choose one kind.")
    return builder.node("Mean", [builder.add(member) for member in model.regressors_])


def _increment(builder: _Builder, model: IncrementRegressor) -> str:
    return builder.node("Relu", [builder.add(model.regressor_)])


def _hurdle(builder: _Builder, model: HurdleRegressor) -> str:
    both = builder.add(model.classifier_)  # probabilities of (no, yes)
    returns = builder.node("Gather", [both, builder.constant([1], TensorProto.INT64)], axis=1)
    amount = builder.node("Relu", [builder.add(model.regressor_)])
    return builder.node("Mul", [returns, amount])


def _returning(builder: _Builder, model: ReturnClassifier) -> str:
    least = model.LEAST
    if model.classifier_ is None:
        probability = builder.linear([0, 0, 0], model.share_)
    else:
        both = builder.node("Clip", [builder.add(model.classifier_), *_limits(builder, least)])
        no, yes = (
            builder.node("Gather", [both, builder.constant([k], TensorProto.INT64)], axis=1)
            for k in (0, 1)
        )
        logit = builder.node("Log", [builder.node("Div", [yes, no])])
        scaled = builder.node("Mul", [logit, builder.constant([model.slope_])])
        shifted = builder.node("Add", [scaled, builder.constant([model.intercept_])])
        probability = builder.node("Sigmoid", [shifted])
    return builder.node("Clip", [probability, *_limits(builder, least)])


def _limits(builder: _Builder, least: float) -> list[str]:
    return [builder.constant(least), builder.constant(1 - least)]


def _scikit(builder: _Builder, model: Any) -> str:
    converted = to_onnx(
        model, initial_types=[(INPUT, FloatTensorType([None, 3]))], target_opset=_OPSETS
    )
    return builder.embed(converted, converted.graph.output[0].name)


def _lightgbm(builder: _Builder, model: Any) -> str:
    options = {"zipmap": False} if isinstance(model, LGBMClassifier) else {}
    converted = convert_lightgbm(
        model,
        initial_types=[(INPUT, LightGBMFloats([None, 3]))],
        target_opset=_OPSETS[""],
        **options,
    )
    _round_thresholds_down(converted.graph, model.booster_.model_to_string())
    return builder.embed(converted, converted.graph.output[-1].name)


def _round_thresholds_down(graph: Any, trees: str) -> None:
    """Make the graph split float32 features where LightGBM does.

    x <= t holds for a float32 x exactly where it is at most the largest float32 up to t. The
    converter takes the nearest one, which can be the next feature value above t.
    """
    down = {}
    for line in re.findall(r"^threshold=(.*)$", trees, re.MULTILINE):
        for exact in map(float, line.split()):
            nearest = np.float32(exact)
            if float(nearest) > exact:
                down[float(nearest)] = float(np.nextafter(nearest, np.float32(-np.inf)))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "nodes_values":
                attribute.floats[:] = [down.get(value, value) for value in attribute.floats]


_EXPORTERS: dict[type, Callable[[_Builder, Any], str]] = {
    AverageRegressor: _average,
    IncrementRegressor: _increment,
    HurdleRegressor: _hurdle,
    ReturnClassifier: _returning,
    MeanRegressor: lambda builder, model: builder.linear([0, 0, 0], model.mean_),
    PersistenceRegressor: lambda builder, _: builder.linear([0, 0, 0], 0.0),
    LinearRegression: lambda builder, model: builder.linear(model.coef_, model.intercept_),
    Ridge: lambda builder, model: builder.linear(model.coef_, model.intercept_),
    RandomForestRegressor: _scikit,
    LGBMRegressor: _lightgbm,
    LGBMClassifier: _lightgbm,
}
