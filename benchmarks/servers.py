"""The services that ours is compared with: `python -m benchmarks.servers empty|published PORT`.

`empty` is a FastAPI route that does nothing. `published` is what the service began as: a
scikit-learn forest asked for a data frame of one row, and an ORM commit, in an `async` route.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.ensemble import RandomForestRegressor
from sqlalchemy import DateTime, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from clv.data.simulate import simulate

__all__ = ["empty", "published"]

_FEATURES = ["recency_7", "frequency_7", "monetary_value_7"]


def empty() -> FastAPI:
    app = FastAPI()

    @app.post("/api/predict")
    async def nothing() -> dict[str, str]:
        return {}

    return app


class _Base(DeclarativeBase):
    pass


class _Asked(_Base):
    __tablename__ = "requests"
    key: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(index=True)
    predicted: Mapped[float]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class _In(BaseModel):
    id: int
    recency_7: int
    frequency_7: int
    monetary_7: float


def published(folder: Path) -> FastAPI:
    table = next(iter(simulate(20_000))).activity.to_pandas()
    forest = RandomForestRegressor(100, max_depth=5, random_state=42)
    forest.fit(table[_FEATURES], table["monetary_value_30"])
    engine = create_engine(f"sqlite:///{folder}/published.sqlite")
    _Base.metadata.create_all(engine)
    app = FastAPI()

    @app.post("/api/predict")
    async def predict(asked: _In) -> dict[str, float]:
        row = pd.DataFrame([[asked.recency_7, asked.frequency_7, asked.monetary_7]])
        row.columns = _FEATURES
        said = float(forest.predict(row)[0])
        with Session(engine) as session:
            session.add(_Asked(id=asked.id, predicted=said, at=datetime.now(UTC)))
            session.commit()
        return {"id": asked.id, "monetary_30": round(said, 2)}

    return app


def main() -> None:
    kind, port = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        app = empty() if kind == "empty" else published(Path(folder))
        uvicorn.run(app, port=int(port), access_log=False, log_level="error")


if __name__ == "__main__":
    main()
