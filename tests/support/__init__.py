"""Helpers that tests import; `tests` is on the path (pyproject.toml)."""

from clv.models.candidates import MEAN, PERSISTENCE, Candidate, candidates

__all__ = ["quick_candidates"]


def quick_candidates(seed: int = 42) -> list[Candidate]:
    """The real candidates that fit in no time, with the smallest grids; in the real order."""
    wanted = {MEAN, PERSISTENCE, "boosting", "boosting, Tweedie", "hurdle"}
    return [
        Candidate(
            candidate.name,
            candidate.estimator,
            candidate.on,
            {name: values[:1] for name, values in candidate.grid.items()},
        )
        for candidate in candidates(seed)
        if candidate.name in wanted
    ]
