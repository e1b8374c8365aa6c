"""An image repository that exists already, brought under the template; code and Dockerfile stay."""

from dagkit.adopt.bring import bring
from dagkit.adopt.plan import Plan, plan
from dagkit.adopt.survey import Survey, survey

__all__ = ["Plan", "Survey", "bring", "plan", "survey"]
