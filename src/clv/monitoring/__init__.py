"""Predictions against outcomes while a model serves: live quality, alarms, drift.

    sums        promises beside what came of them, as the database adds them up
    quality     bias, errors, order, coverage: by version, cohort, score bin and decile
    alarm       tests of bias and coverage that may be looked at every day
    early       what can be said before outcomes are known
    drift       whether those who are asked about are still like those of training
    monitor     all of it at one moment

A server runs all of it: NumPy and the database, nothing that trains.
"""

from clv.monitoring.alarm import FALSE_ALARMS, Alarm, Watch
from clv.monitoring.drift import Drift
from clv.monitoring.early import Early
from clv.monitoring.monitor import Monitoring, VersionQuality, manifests_of, monitor
from clv.monitoring.quality import BinQuality, CohortQuality, LiveQuality, Shadow
from clv.monitoring.sums import MATURE_AFTER, monday_before

__all__ = [
    "FALSE_ALARMS",
    "MATURE_AFTER",
    "Alarm",
    "BinQuality",
    "CohortQuality",
    "Drift",
    "Early",
    "LiveQuality",
    "Monitoring",
    "Shadow",
    "VersionQuality",
    "Watch",
    "manifests_of",
    "monday_before",
    "monitor",
]
