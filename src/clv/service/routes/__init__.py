"""The routes: parse, call, answer; they decide nothing."""

from clv.service.routes.activity import router as activity
from clv.service.routes.explain import router as explain
from clv.service.routes.models import router as models
from clv.service.routes.monitoring import router as monitoring
from clv.service.routes.operations import router as operations
from clv.service.routes.predictions import predict
from clv.service.routes.predictions import router as predictions
from clv.service.routes.segments import router as segments

__all__ = ["DIRECT", "ROUTERS"]

ROUTERS = (predictions, explain, segments, monitoring, models, activity, operations)

#: What is answered without FastAPI's layers, which would take half of the time of a prediction.
DIRECT = {("POST", "/api/predict"): predict}
