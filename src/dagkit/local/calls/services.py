"""The permissions of calls to the services, beside S3, that iam-builder's policies can allow.

The action and its resource types are those of the Service Authorization Reference; what is described here is
how a request names those resources. Sources are given per service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dagkit.local.calls import reference
from dagkit.local.calls.model import Backend, Need, Needs, Operation


def needs(operation: Operation, backend: Backend) -> Needs | None:
    """Works out what a call needs; None where the reference alone knows enough."""
    handler = _HANDLERS.get(operation.model)
    if handler is None:
        return None
    if reference.resource_types(reference.action_of(operation)) is None and operation.name not in _UNLISTED:
        return None
    found = handler(operation, backend)
    return None if found is None else Needs(tuple(found))


# Operations that are controlled by actions of other names, or by none.
_UNLISTED = frozenset({"ReEncrypt", "Converse", "ConverseStream", "GetCallerIdentity", "GetSessionToken"})
Handler = Callable[[Operation, Backend], "list[Need] | None"]


def _arn(operation: Operation, backend: Backend, service: str, rest: str) -> str:
    return f"arn:aws:{service}:{operation.region}:{backend.account}:{rest}"


def _texts(operation: Operation, *names: str) -> list[str]:
    """Returns the values of the first parameter given, as a list."""
    for name in names:
        value: Any = operation.params
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value:
            return [value]
        if isinstance(value, list) and value:
            return [str(each) for each in value]
    return []


# -- Athena: User Guide, "Fine-grained access to workgroups"; a call about a query is one on its workgroup --


def _athena(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    kinds = reference.resource_types(action) or {}
    if "datacatalog" in kinds:
        names = _texts(operation, "CatalogName", "Name") or ["AwsDataCatalog"]
        return [Need(action, _arn(operation, backend, "athena", f"datacatalog/{name}")) for name in names]
    if "workgroup" not in kinds:
        return None
    groups: list[str | None] = list(_texts(operation, "WorkGroup"))
    if not groups and operation.name == "CreateWorkGroup":
        groups = list(_texts(operation, "Name"))
    for kind in ("QueryExecution", "NamedQuery", "Session"):
        if not groups and (identifiers := _texts(operation, f"{kind}Id", f"{kind}Ids")):
            groups = [backend.workgroup(operation.region, kind, identifier) for identifier in identifiers]
    found = dict.fromkeys(groups or ["primary"])
    return [
        Need(action, _arn(operation, backend, "athena", f"workgroup/{group}") if group else None)
        for group in found
    ]


# -- Glue: Developer Guide, "Specifying AWS Glue resource ARNs": the resource and all its ancestors; deleting
#    needs all its children too; Athena User Guide, "Configure access to databases": lists need `/*` --

_GLUE_DATABASE = ("DatabaseName", "DatabaseInput.Name", "Name")
_GLUE_TABLE = ("TableName", "TableInput.Name", "TablesToDelete", "Name")
_GLUE_FUNCTION = ("FunctionName", "FunctionInput.FunctionName")
_GLUE_JOB = ("JobName", "JobNames", "Name")
_ORDER = ("rootcatalog", "database", "table", "userdefinedfunction", "job")


def _glue(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    kinds = {kind for kind, required in (reference.resource_types(action) or {}).items() if required}
    if operation.name in {"CreateJob", "GetJobBookmark"}:
        kinds.add("job")
    if not kinds or not kinds <= set(_ORDER):
        return None
    catalog = operation.param("CatalogId")
    account = catalog if len(catalog) == 12 and catalog.isdigit() else backend.account
    root = f"arn:aws:glue:{operation.region}:{account}:"
    databases = _texts(operation, *(_GLUE_DATABASE if "table" not in kinds else _GLUE_DATABASE[:1])) or ["*"]
    if operation.name == "DeleteDatabase":
        databases = _texts(operation, "Name")
    found: list[Need] = []
    for kind in (kind for kind in _ORDER if kind in kinds):
        if kind == "rootcatalog":
            found.append(Need(action, f"{root}catalog"))
        elif kind == "database":
            found += [Need(action, f"{root}database/{name}") for name in databases]
        elif kind in {"table", "userdefinedfunction"}:
            names = _GLUE_TABLE if kind == "table" else _GLUE_FUNCTION
            children = [] if operation.name in {"DeleteDatabase", "GetTables"} else _texts(operation, *names)
            word = "table" if kind == "table" else "userDefinedFunction"
            found += [Need(action, f"{root}{word}/{databases[0]}/{child}") for child in children or ["*"]]
        else:
            jobs = _texts(operation, *_GLUE_JOB)
            found += [Need(action, f"{root}job/{name}") for name in jobs] or [Need(action, None)]
    return found + list(_pass_role(operation, backend))


def _pass_role(operation: Operation, backend: Backend) -> Iterator[Need]:
    """IAM User Guide, "Grant a user permissions to pass a role to an AWS service"."""
    for role in _texts(operation, "Role", "JobUpdate.Role"):
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{backend.account}:role/{role}"
        yield Need(
            "iam:PassRole",
            arn,
            {"iam:PassedToService": ("glue.amazonaws.com",)},
            frozenset({"iam:associatedresourcearn"}),
        )


# -- Secrets Manager: User Guide, "Permissions reference"; a name that is no secret's stays a bare name --


def _secretsmanager(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    if operation.name == "CreateSecret":
        # The six characters AWS will add are not known yet.
        return [
            Need(
                action, _arn(operation, backend, "secretsmanager", f"secret:{operation.param('Name')}-??????")
            )
        ]
    identifiers = _texts(operation, "SecretId", "SecretIdList")
    if operation.name == "BatchGetSecretValue":
        found = [Need(action, "*")]
        action = "secretsmanager:GetSecretValue"
        if not identifiers:
            return [*found, Need("secretsmanager:ListSecrets", "*"), Need(action, None)]
    elif not identifiers:
        return None
    else:
        found = []
    for identifier in identifiers:
        found.append(Need(action, backend.secret_arn(operation.region, identifier) or identifier))
        key = backend.secret_key(operation.region, identifier)
        if action == "secretsmanager:GetSecretValue" and key and not key.endswith("alias/aws/secretsmanager"):
            found.append(Need("kms:Decrypt", backend.key_arn(operation.region, key)))
    return found


# -- Systems Manager: User Guide, "Restricting access to Parameter Store parameters using IAM policies" --


def _ssm(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    if "parameter" not in (reference.resource_types(action) or {}):
        return None
    names = _texts(operation, "Name", "Names", "Path")
    if not names:
        return None
    found = []
    for name in names:
        found.append(Need(action, _parameter_arn(operation, backend, name)))
        key = backend.parameter_key(operation.region, _without_selector(name))
        if key and operation.param("WithDecryption") == "True" and not key.endswith("alias/aws/ssm"):
            found.append(Need("kms:Decrypt", backend.key_arn(operation.region, key)))
    key_id = operation.param("KeyId")
    if operation.name == "PutParameter" and key_id and not key_id.endswith("alias/aws/ssm"):
        how = "kms:GenerateDataKey" if operation.param("Tier") == "Advanced" else "kms:Encrypt"
        found.append(Need(how, backend.key_arn(operation.region, key_id)))
    return found


def _without_selector(name: str) -> str:
    """`name:3` and `name:label` are the parameter `name`."""
    return name if name.startswith("arn:") else name.partition(":")[0]


def _parameter_arn(operation: Operation, backend: Backend, name: str) -> str:
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:6])
    return _arn(operation, backend, "ssm", f"parameter/{_without_selector(name).removeprefix('/')}")


# -- KMS: Developer Guide, "KMS permissions"; an alias stands for its key --


def _kms(operation: Operation, backend: Backend) -> list[Need] | None:
    def key(identifier: str) -> str | None:
        found = backend.key_arn(operation.region, identifier)
        if found or "alias/" in identifier:
            return found
        return (
            identifier
            if identifier.startswith("arn:")
            else _arn(operation, backend, "kms", f"key/{identifier}")
        )

    blob = operation.params.get("CiphertextBlob")
    if operation.name == "ReEncrypt":
        source = operation.param("SourceKeyId")
        return [
            Need("kms:ReEncryptFrom", key(source) if source else _ciphertext(operation, backend, blob)),
            Need("kms:ReEncryptTo", key(operation.param("DestinationKeyId"))),
        ]
    action = reference.action_of(operation)
    identifiers = _texts(operation, "KeyId", "TargetKeyId")
    if operation.name in {"CreateAlias", "DeleteAlias", "UpdateAlias"}:
        alias = operation.param("AliasName")
        current = backend.key_arn(operation.region, alias)
        keys = [*([current] if current else []), *(key(each) for each in identifiers)]
        return [Need(action, _arn(operation, backend, "kms", alias)), *(Need(action, arn) for arn in keys)]
    if "key" not in (reference.resource_types(action) or {}):
        return None
    if identifiers:
        return [Need(action, key(identifiers[0]))]
    return [Need(action, _ciphertext(operation, backend, blob))]


def _ciphertext(operation: Operation, backend: Backend, blob: Any) -> str | None:
    return backend.ciphertext_key(operation.region, blob if isinstance(blob, bytes) else b"")


# -- Bedrock: User Guide, "Identity-based policy examples"; a model is invoked by id, profile or ARN --

_PROFILE_AREAS = ("eu.", "us.", "apac.", "us-gov.", "global.", "jp.", "au.", "ca.")


def _bedrock(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    models = _texts(operation, "modelId", "modelIdentifier")
    if "foundation-model" not in (reference.resource_types(action) or {}) or not models:
        return None
    model = models[0]
    if model.startswith("arn:"):
        return [Need(action, model)]
    if model.startswith(_PROFILE_AREAS):
        return [Need(action, _arn(operation, backend, "bedrock", f"inference-profile/{model}"))]
    return [Need(action, f"arn:aws:bedrock:{operation.region}::foundation-model/{model}")]


# -- STS: API Reference, "GetCallerIdentity": no permissions are required --


def _sts(operation: Operation, backend: Backend) -> list[Need] | None:  # noqa: ARG001
    if operation.name in {"GetCallerIdentity", "GetSessionToken"}:
        return []
    if operation.name == "AssumeRole":
        role = operation.param("RoleArn")
        tagging = [Need("sts:TagSession", role)] if operation.params.get("Tags") else []
        return [Need("sts:AssumeRole", role), *tagging]
    return None


# -- CloudWatch Logs: User Guide, "Overview of managing access permissions": a call on a group is evaluated on
#    the group's ARN with an empty stream, which is why policies for groups end in `:*` --


def _logs(operation: Operation, backend: Backend) -> list[Need] | None:
    action = reference.action_of(operation)
    kinds = reference.resource_types(action) or {}
    groups = _texts(operation, "logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers")
    if not groups or not kinds.keys() & {"log-group", "log-stream"}:
        return (
            [Need(action, _arn(operation, backend, "logs", "log-group::log-stream:"))]
            if (operation.name == "DescribeLogGroups")
            else None
        )
    stream = operation.param("logStreamName")
    found = []
    for group in groups:
        name = group.split(":log-group:")[-1].removesuffix(":*")
        found.append(Need(action, _arn(operation, backend, "logs", f"log-group:{name}:log-stream:{stream}")))
    return found


_HANDLERS: dict[str, Handler] = {
    "athena": _athena,
    "glue": _glue,
    "secretsmanager": _secretsmanager,
    "ssm": _ssm,
    "kms": _kms,
    "bedrock": _bedrock,
    "bedrock-runtime": _bedrock,
    "sts": _sts,
    "logs": _logs,
}
