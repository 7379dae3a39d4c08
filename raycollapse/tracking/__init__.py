"""Recording: JSON lines in the storage are the truth; what shows them elsewhere replays them."""

from raycollapse.tracking.base import NullRecorder, Recorder, TrialStatus
from raycollapse.tracking.records import GenerationRecord, TrialRecords, trial_keys

__all__ = ["GenerationRecord", "NullRecorder", "Recorder", "TrialRecords", "TrialStatus", "trial_keys"]
