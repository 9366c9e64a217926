"""The model card: one page of Markdown for those who decide whether to use the model."""

import jinja2

from clv.models.candidates import MEAN, PERSISTENCE, PUBLISHED
from clv.training.pipeline import TrainingResult
from clv.training.report.leaderboard import leaderboard_table
from clv.training.report.limits import LIMITS
from clv.training.search import FOLDS

__all__ = ["MODEL_CARD", "model_card"]

MODEL_CARD = "model_card.md"


def model_card(result: TrainingResult) -> str:
    """Say what it is for, learnt from, how it was chosen, how good it is, and its limits."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("clv.training", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, read as text
    )
    baselines = {PUBLISHED, PERSISTENCE, MEAN} - {result.champion.model}
    return templates.get_template(MODEL_CARD).render(
        history=result.history,
        window=result.history.window,
        champion=result.champion,
        choice=result.choice,
        table=leaderboard_table(result.leaderboard),
        compared=[row for row in result.leaderboard if row.model in baselines],
        failed=result.failed,
        tested=int(result.test.sum()),
        learnt=int((~result.test).sum()),
        seed=result.seed,
        folds=FOLDS,
        limits=LIMITS,
    )
