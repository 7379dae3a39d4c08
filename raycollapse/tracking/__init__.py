"""Recording: JSON lines in the storage are the truth; what shows them elsewhere replays them."""

from raycollapse.tracking.base import NoRecorder, Recorder
from raycollapse.tracking.records import GenerationRecord, TrialRecords, trial_keys

__all__ = ["GenerationRecord", "NoRecorder", "Recorder", "TrialRecords", "trial_keys"]
