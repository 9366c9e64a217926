"""Is this segment worth it? The verdict on a list of passengers and a campaign.

predictions = predictor.predict(activity)
verdict = evaluate(predictions, predictor, Campaign(margin=0.25, cost=2.5))
"""
