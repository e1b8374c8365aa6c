"""The platform's settings, in one place.

The defaults are those of `copier.yml`; an image repository records only what its owner changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dagkit import names


class Platform(BaseModel):
    """Where images, roles and DAGs of one platform live.

    Attributes:
        organisation: GitHub organisation of the image repositories.
        dag_repository: ``<organisation>/<name>`` of the repository that holds all DAGs and roles.
        ecr_account: AWS account (12 digits) of the image registry.
        ecr_region: AWS region of the image registry, and of everything else here.
        push_role: ARN of the role that the release workflow assumes.
        data_account: AWS account (12 digits) of the data and the pods' IAM roles.
        cluster_accounts: AWS accounts, separated by commas, whose clusters pull the images.
        namespace: Kubernetes namespace of the pods.
        pod_identity: How pods get their role: ``irsa`` (a service account) or ``kube2iam`` (an annotation).
        dev_cluster: kubeconfig context of the dev cluster.
        prod_cluster: kubeconfig context of the prod cluster.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    organisation: str = "moj-analytical-services"
    dag_repository: str = "moj-analytical-services/airflow"
    ecr_account: str = "189157455002"
    ecr_region: str = "eu-west-1"
    push_role: str = "arn:aws:iam::189157455002:role/data-engineering-ga-ecr"
    data_account: str = "593291632749"
    cluster_accounts: str = "593291632749"
    namespace: str = "airflow"
    pod_identity: Literal["irsa", "kube2iam"] = "irsa"
    dev_cluster: str = "analytical-platform-compute-test"
    prod_cluster: str = "analytical-platform-compute-production"

    @classmethod
    def from_answers(cls, answers: Mapping[str, Any]) -> Platform:
        """The settings an answers file names, and the defaults for the rest."""
        return cls.model_validate({k: v for k, v in answers.items() if k in cls.model_fields})

    @property
    def registry(self) -> str:
        """The registry's host name."""
        return names.registry(self.ecr_account, self.ecr_region)

    def image_uri(self, repository: str, tag: str) -> str:
        """The image of a release of a repository."""
        return names.image_uri(self.ecr_account, self.ecr_region, repository, tag)
