"""A repository's next version of the template: what it brings, and bringing it in.

Copier renders the version that a repository was made from and the newest one, with the repository's answers.
The difference is one commit, and git merges it, by a cherry-pick on a branch: nobody's lines are lost.
"""

from dagkit.update.apply import Outcome, apply
from dagkit.update.plan import Plan, planned
from dagkit.update.recorded import Recorded
from dagkit.update.resume import abort, resume

__all__ = ["Outcome", "Plan", "Recorded", "abort", "apply", "planned", "resume"]
