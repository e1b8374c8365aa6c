"""Whether images are in Amazon ECR."""

from __future__ import annotations

from typing import Any

from dagkit.dagrepo import Registry
from dagkit.errors import DagkitError
from dagkit.rules.pods import split_image


class Ecr:
    """Asks Amazon ECR for images of one registry, each once.

    Args:
        registry: The registry.
    """

    def __init__(self, registry: Registry) -> None:
        import boto3

        self._registry = registry
        self._client: Any = boto3.session.Session().client("ecr", region_name=registry.region)
        self._known: dict[str, bool | None] = {}

    def __call__(self, image: str) -> bool | None:
        """Whether an image is there; None where it is not one of this registry's.

        Raises:
            DagkitError: ECR cannot be asked: no credentials, no permission, no network.
        """
        if image not in self._known:
            host, repository, tag, digest = split_image(image)
            self._known[image] = self._ask(repository, tag, digest) if host == self._registry.host else None
        return self._known[image]

    def _ask(self, repository: str, tag: str, digest: str) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.describe_images(
                registryId=self._registry.account,
                repositoryName=repository,
                imageIds=[{"imageDigest": digest} if digest else {"imageTag": tag}],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ImageNotFoundException", "RepositoryNotFoundException"):
                return False
            raise self._unanswered(error) from error
        except BotoCoreError as error:
            raise self._unanswered(error) from error
        return True

    def _unanswered(self, error: Exception) -> DagkitError:
        return DagkitError(
            f"Amazon ECR does not say whether the images are there: {error}",
            where=self._registry.host,
            fix="Sign in to AWS as somebody who may read the registry, or leave out --online.",
        )
