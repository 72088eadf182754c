"""Pre-flights: what a job would do, counted before it starts.

    counting     the job's records through the worker's own code, in a process of their own
    first_batch  what it would be trained on first, token by token; the same
    memory       what a worker takes, from the sizes of the base model; pure rules
    forecast     how long it takes, from what past attempts measured; pure rules
    advice       what is odd about a job, and what mends it; pure rules
    work         all of that as an operation
    desk         where its files and agents come from

Invariant: what is kept of a pre-flight is numbers. Only the first batch holds content, which is
answered to whoever may view all of its datasets, and kept nowhere.
"""

from adaptery_hub.preflight.counting import CountInput, CountOrder
from adaptery_hub.preflight.first_batch import find_first_batch
from adaptery_hub.preflight.work import PreflightWork

__all__ = ["CountInput", "CountOrder", "PreflightWork", "find_first_batch"]
