"""The leaderboard as a section: figures of quality are reproducible, figures of time are not."""

from clv.models.candidates import PUBLISHED
from clv.training import TrainingResult
from clv.training.report import leaderboard_table

__all__ = ["quality"]


def quality(title: str, result: TrainingResult) -> str:
    published, champion = result.standing(PUBLISHED), result.champion
    paired = published.to_champion
    return (
        f"## {title}\n\n"
        f"Champion: **{champion.model}**. Its cross-validated MSE is {champion.cv_mse:.1f}, "
        f"{champion.cv_mse / published.cv_mse:.3f} of the published forest's; the paired "
        f"difference is {-paired.mean:+.1f} (95% interval {-paired.high:+.1f} to "
        f"{-paired.low:+.1f}).\n\n"
        f"{leaderboard_table(result.leaderboard)}\n"
    )
