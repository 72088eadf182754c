"""The queue: from a submitted job to its end, behind one port.

rules, fairness, outcomes   pure
priorities, pace, forecast  pure
port                        what the service asks of a back end
transitions, reports        each step as one transaction
embedded                    the back end on the service's own database
lines                       places and forecasts of those that wait, for dashboards
signals                     wakes who waits for news of a job
"""

from adaptery_hub.database.statements.jobs import Offer
from adaptery_hub.queue.embedded import EmbeddedQueue
from adaptery_hub.queue.outcomes import AttemptEnd
from adaptery_hub.queue.port import Claim, Fence, Queue, Renewal, Submission
from adaptery_hub.queue.rules import QueueRules, RuleBook
from adaptery_hub.queue.signals import JobSignals

__all__ = [
    "AttemptEnd",
    "Claim",
    "EmbeddedQueue",
    "Fence",
    "JobSignals",
    "Offer",
    "Queue",
    "QueueRules",
    "Renewal",
    "RuleBook",
    "Submission",
]
