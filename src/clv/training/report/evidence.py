"""What the report rests on: the recipe of the champion, judged on customers that it did not see."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from clv.bundle import Predictions, Predictor
from clv.data.checks import History
from clv.evaluation import Evaluation, evaluate
from clv.schema import Floats
from clv.training.appraisal import Appraisal
from clv.training.pipeline import TrainingResult

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A training, and what its champion says of customers whom it did not see.

    Attributes
    ----------
    result : TrainingResult
    appraisal : Appraisal
    seen, unseen : History
        Training rows and test rows.
    said : Predictions
        Of the test rows, by the champion's recipe fitted on the training rows.
    evaluation : Evaluation
        Of the same.
    expected : array of shape (n,)
        Expected increment of every row of the history, test row or not, by a model that did not
        see it: more rows than the test alone, and no less honest.
    """

    result: TrainingResult
    appraisal: Appraisal
    seen: History
    unseen: History
    said: Predictions
    evaluation: Evaluation
    expected: Floats

    @classmethod
    def of(cls, result: TrainingResult, holdout: Predictor, appraisal: Appraisal) -> Self:
        """Judge `holdout`, the champion's recipe fitted on the training rows."""
        history, test = result.history, result.test
        seen, unseen = history[~test], history[test]
        said = holdout.predict(unseen.activity)
        expected = np.empty(len(history))
        out_of_fold = result.choice.champion.out_of_fold - seen.activity.monetary
        expected[~test] = np.maximum(out_of_fold, 0.0)
        expected[test] = said.expected_increment
        return cls(result, appraisal, seen, unseen, said, evaluate(unseen, holdout), expected)
