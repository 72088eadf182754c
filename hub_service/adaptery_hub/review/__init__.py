"""Review: finds what a person should look at before a draft is published.

Pure functions over texts and records, usable in a child process, and the work around them that
keeps findings in the draft. Nothing here removes or changes a record by itself: that takes a
decision, and a decision is an edit that can be undone.

Invariants:

- Time and memory of every queue grow with the size of the draft, not with its square.
- Findings hold positions and spans. No text of a record is in a finding, a log line or an audit
  row.
- What was found in another dataset is told only to whom may view that dataset.
"""

from adaptery_hub.review.exact import exact_groups
from adaptery_hub.review.near import Match, NearGroup, near_groups, near_matches, near_pairs
from adaptery_hub.review.profile import Profile, profile
from adaptery_hub.review.summary import open_findings

__all__ = [
    "Match",
    "NearGroup",
    "Profile",
    "exact_groups",
    "near_groups",
    "near_matches",
    "near_pairs",
    "open_findings",
    "profile",
]
