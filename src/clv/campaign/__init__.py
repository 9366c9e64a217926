"""Whether a campaign pays for a list of passengers: verdict, depth, hold-out, lift.

Three lines do it: `predictions = predictor.predict(activity)`, then
`found = evaluate(predictions, predictor, Campaign(margin=0.25, cost=2.5))`, and `found.verdict` is
"worth it", "not worth it" or "not enough evidence".
"""

from clv.campaign.chosen import chosen
from clv.campaign.holdout import HoldOut, Lift, design_holdout, estimate_lift
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.campaign.verdict import Evaluation, evaluate

__all__ = [
    "Campaign",
    "Evaluation",
    "HoldOut",
    "Lift",
    "Segment",
    "chosen",
    "design_holdout",
    "estimate_lift",
    "evaluate",
]
