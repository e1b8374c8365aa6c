"""boto3 against the local AWS over HTTP: it gets the data, or the very error AWS would send."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from dagkit.local.aws import Credentials, LocalAWS
from dagkit.local.ledger import Written
from tests.local_aws.conftest import ROLE, Clients, client_of

WHO = f"arn:aws:sts::593291632749:assumed-role/{ROLE}/write"


def refusal(call: Any, *args: Any, **params: Any) -> tuple[str, int, str]:
    """Makes a call that has to fail and returns code, HTTP status and message."""
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def not_allowed(action: str, resource: str) -> str:
    where = f" on resource: {resource}" if resource else ""
    why = f"because no identity-based policy allows the {action} action"
    return f"User: {WHO} is not authorized to perform: {action}{where} {why}"


def test_what_the_role_allows_works(pod: Clients) -> None:
    s3 = pod("s3")
    assert s3.get_object(Bucket="alpha-data", Key="in/a b+ü.csv")["Body"].read() == b"hello"
    assert s3.head_object(Bucket="alpha-data", Key="in/a b+ü.csv")["ContentLength"] == 5
    s3.put_object(Bucket="alpha-data", Key="out/new", Body=b"12345")
    assert [
        each["Key"] for each in s3.list_objects_v2(Bucket="alpha-data", Prefix="out/new")["Contents"]
    ] == ["out/new"]
    s3.delete_object(Bucket="alpha-data", Key="out/new")
    assert s3.head_bucket(Bucket="alpha-data")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket="alpha-data")["LocationConstraint"] == "eu-west-1"


@pytest.mark.parametrize(
    "key",
    [
        "out/a b+c",
        "out/größe/ñ",
        "out/100%",
        "out/a%2Fb",
        "out//x/",
        "out/a/../b",
        "out/q?x=1&y#z",
        "out/~!$'()*,;:@=",
    ],
)
def test_a_key_is_the_same_key_for_the_guard_and_for_s3(aws: LocalAWS, pod: Clients, key: str) -> None:
    pod("s3").put_object(Bucket="alpha-data", Key=key, Body=key.encode())
    assert key in [each.key for each in aws.objects("alpha-data")]
    assert aws.ledger[-1].needs[0].resource == f"arn:aws:s3:::alpha-data/{key}"
    assert pod("s3").get_object(Bucket="alpha-data", Key=key)["Body"].read() == key.encode()
    copy = {"Bucket": "alpha-data", "Key": key}
    pod("s3").copy_object(Bucket="alpha-data", Key="out/copy", CopySource=copy)
    assert aws.ledger[-1].needs[0].resource == f"arn:aws:s3:::alpha-data/{key}"
    pod("s3").delete_objects(Bucket="alpha-data", Delete={"Objects": [{"Key": key}]})
    assert key not in [each.key for each in aws.objects("alpha-data")]


def test_s3_says_403_with_who_what_where_and_why(pod: Clients) -> None:
    code, status, message = refusal(pod("s3").put_object, Bucket="alpha-data", Key="in/x", Body=b"1")
    assert (code, status) == ("AccessDenied", 403)
    assert message == not_allowed("s3:PutObject", '"arn:aws:s3:::alpha-data/in/x"')


def test_an_explicit_deny_is_said_to_be_one(pod: Clients) -> None:
    code, status, message = refusal(pod("s3").get_object, Bucket="alpha-data", Key="deny/secret.csv")
    assert (code, status) == ("AccessDenied", 403)
    assert message.endswith(
        '"arn:aws:s3:::alpha-data/deny/secret.csv" with an explicit deny in an identity-based policy'
    )


def test_a_refused_head_has_status_403_and_no_body(pod: Clients) -> None:
    assert refusal(pod("s3").head_object, Bucket="alpha-closed", Key="k") == ("403", 403, "Forbidden")
    assert refusal(pod("s3").head_bucket, Bucket="alpha-closed") == ("403", 403, "Forbidden")


def test_listing_all_buckets_names_no_resource_when_it_is_refused(aws: LocalAWS) -> None:
    aws.add_role(
        "only_one",
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "arn:aws:s3:::alpha-data"}
            ],
        },
    )
    client = client_of(aws, aws.credentials("only_one", "t1"), "s3")
    _, _, message = refusal(client.list_buckets)
    assert message.endswith(
        "s3:ListAllMyBuckets because no identity-based policy allows the s3:ListAllMyBuckets action"
    )


def test_a_missing_key_is_404_for_who_may_list_and_403_for_who_may_not(aws: LocalAWS, pod: Clients) -> None:
    assert refusal(pod("s3").get_object, Bucket="alpha-data", Key="in/none")[:2] == ("NoSuchKey", 404)
    assert refusal(pod("s3").head_object, Bucket="alpha-data", Key="in/none")[:2] == ("404", 404)
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    aws.add_role("blind", policy)
    blind = client_of(aws, aws.credentials("blind", "t1"), "s3")
    code, status, message = refusal(blind.get_object, Bucket="alpha-data", Key="in/none")
    assert (code, status) == ("AccessDenied", 403)
    assert 's3:ListBucket on resource: "arn:aws:s3:::alpha-data" because' in message
    assert refusal(blind.head_object, Bucket="alpha-data", Key="in/none")[:2] == ("403", 403)
    assert blind.get_object(Bucket="alpha-data", Key="in/a b+ü.csv")["Body"].read() == b"hello"
    assert refusal(blind.get_object, Bucket="no-such-bucket", Key="k")[:2] == ("NoSuchBucket", 404)
    assert aws.ledger[-2].status == 200


def test_deleting_many_keys_deletes_what_may_be_and_reports_the_rest(aws: LocalAWS, pod: Clients) -> None:
    aws.put_object("alpha-data", "out/1", b"")
    aws.put_object("alpha-data", "in/keep", b"")
    wanted = {"Objects": [{"Key": "out/1"}, {"Key": "in/keep"}, {"Key": "deny/secret.csv"}]}
    answer = pod("s3").delete_objects(Bucket="alpha-data", Delete=wanted)
    assert [each["Key"] for each in answer["Deleted"]] == ["out/1"]
    assert {each["Key"]: each["Code"] for each in answer["Errors"]} == {
        "in/keep": "AccessDenied",
        "deny/secret.csv": "AccessDenied",
    }
    assert answer["Errors"][0]["Message"] == not_allowed(
        "s3:DeleteObject", '"arn:aws:s3:::alpha-data/in/keep"'
    )
    left = {each.key for each in aws.objects("alpha-data")}
    assert {"in/keep", "deny/secret.csv"} <= left
    assert "out/1" not in left
    noted = aws.ledger[-1]
    assert noted.deleted == ("out/1",)
    assert [need.resource for need in noted.refusals] == [
        "arn:aws:s3:::alpha-data/in/keep",
        "arn:aws:s3:::alpha-data/deny/secret.csv",
    ]


def test_deleting_quietly_reports_only_what_failed(aws: LocalAWS, pod: Clients) -> None:
    aws.put_object("alpha-data", "out/1", b"")
    wanted = {"Objects": [{"Key": "out/1"}, {"Key": "in/a b+ü.csv"}], "Quiet": True}
    answer = pod("s3").delete_objects(Bucket="alpha-data", Delete=wanted)
    assert [each["Key"] for each in answer["Errors"]] == ["in/a b+ü.csv"]


def test_a_copy_needs_its_source(aws: LocalAWS, pod: Clients) -> None:
    source = {"Bucket": "alpha-data", "Key": "deny/secret.csv"}
    code, _, message = refusal(
        pod("s3").copy_object, Bucket="alpha-data", Key="out/stolen", CopySource=source
    )
    assert code == "AccessDenied"
    assert 's3:GetObject on resource: "arn:aws:s3:::alpha-data/deny/secret.csv"' in message
    assert "out/stolen" not in {each.key for each in aws.objects("alpha-data")}


def test_what_was_written_is_in_the_ledger_with_its_size_and_task(aws: LocalAWS, pod: Clients) -> None:
    s3 = pod("s3")
    s3.put_object(Bucket="alpha-drop", Key="a", Body=b"x" * 100)
    assert aws.ledger[-1].written == (Written("alpha-drop", "a", 100),)
    s3.copy_object(Bucket="alpha-drop", Key="b", CopySource={"Bucket": "alpha-data", "Key": "in/a b+ü.csv"})
    assert aws.ledger[-1].written == (Written("alpha-drop", "b", 5),)
    upload = s3.create_multipart_upload(Bucket="alpha-drop", Key="c")["UploadId"]
    part = s3.upload_part(Bucket="alpha-drop", Key="c", UploadId=upload, PartNumber=1, Body=b"y" * 70)
    assert not aws.ledger[-1].written
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="alpha-drop", Key="c", UploadId=upload, MultipartUpload=parts)
    noted = aws.ledger[-1]
    assert noted.written == (Written("alpha-drop", "c", 70),)
    assert (noted.session, noted.role, noted.service, noted.operation) == (
        "write",
        ROLE,
        "s3",
        "CompleteMultipartUpload",
    )
    assert (noted.status, noted.refused, noted.bucket, noted.key) == (200, "", "alpha-drop", "c")


def test_only_calls_of_pods_are_in_the_ledger(aws: LocalAWS) -> None:
    before = len(aws.ledger)
    aws.put_object("alpha-data", "admin", b"")
    assert len(aws.ledger) == before


SERVICES = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text())


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row["call"])
def test_every_protocol_carries_the_refusal(pod: Clients, row: dict[str, Any]) -> None:
    service, _, method = row["call"].partition(".")
    found = refusal(getattr(pod(service), method), **row.get("with", {}))
    assert found == (row["code"], row["status"], not_allowed(row["action"], row.get("at", "")))


def test_refusals_are_the_exception_classes_that_code_catches(pod: Clients) -> None:
    with pytest.raises(pod("glue").exceptions.AccessDeniedException):
        pod("glue").create_database(DatabaseInput={"Name": "d"})
    with pytest.raises(pod("bedrock").exceptions.AccessDeniedException):
        pod("bedrock").create_guardrail(name="g", blockedInputMessaging="n", blockedOutputsMessaging="n")
    with pytest.raises(pod("logs").exceptions.AccessDeniedException):
        pod("logs").create_log_group(logGroupName="/g")
    with pytest.raises(pod("s3").exceptions.NoSuchKey):
        pod("s3").get_object(Bucket="alpha-data", Key="in/none")


def test_the_other_services_serve_what_is_allowed(aws: LocalAWS, pod: Clients) -> None:
    aws.client("secretsmanager").create_secret(Name="alpha/airflow/x/password", SecretString="s3cret")
    assert (
        pod("secretsmanager").get_secret_value(SecretId="alpha/airflow/x/password")["SecretString"]
        == "s3cret"
    )
    name = f"/alpha/airflow/{ROLE}/p"
    pod("ssm").put_parameter(Name=name, Value="v", Type="SecureString")
    assert pod("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "v"
    query = pod("athena").start_query_execution(QueryString="select 1")["QueryExecutionId"]
    assert pod("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]["Query"] == "select 1"
    command = {"Name": "glueetl", "ScriptLocation": "s3://aws-glue-x/s.py"}
    assert pod("glue").create_job(Name="j", Role=ROLE, Command=command)["Name"] == "j"
    pod("cloudwatch").put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}])
    assert pod("sts").get_caller_identity()["Arn"] == WHO
    answer = pod("bedrock-runtime").invoke_model(modelId="m", body=b"{}")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(pod("logs").exceptions.ResourceNotFoundException):
        pod("logs").get_log_events(logGroupName="/aws-glue/jobs/output", logStreamName="s")


def test_keys_that_encrypt_are_asked_for(aws: LocalAWS) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]
    aws.add_role(
        "sealed",
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]},
    )
    s3 = client_of(aws, aws.credentials("sealed", "t1"), "s3")
    sealing = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["KeyId"]}
    _, _, message = refusal(s3.put_object, Bucket="alpha-data", Key="out/sealed", Body=b"", **sealing)
    assert f'kms:GenerateDataKey on resource: "{key["Arn"]}"' in message
    aws.client("s3").put_object(Bucket="alpha-data", Key="out/sealed", Body=b"", **sealing)
    _, _, message = refusal(s3.get_object, Bucket="alpha-data", Key="out/sealed")
    assert f'kms:Decrypt on resource: "{key["Arn"]}"' in message


def test_what_the_local_aws_lacks_is_said_and_is_no_refusal(aws: LocalAWS, pod: Clients) -> None:
    code, status, message = refusal(pod("bedrock").list_foundation_models)
    assert (code, status) == ("NotImplemented", 501)
    assert message == "dagkit's local AWS does not have bedrock ListFoundationModels."
    assert aws.ledger[-1].unavailable
    assert not aws.ledger[-1].undecided


def test_what_cannot_be_decided_is_refused_and_said_so(aws: LocalAWS) -> None:
    condition = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    statement = {
        "Sid": "inside",
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": condition,
    }
    aws.add_role("vpc", {"Version": "2012-10-17", "Statement": [statement]})
    s3 = client_of(aws, aws.credentials("vpc", "t1"), "s3")
    code, status, message = refusal(s3.get_object, Bucket="alpha-data", Key="in/a b+ü.csv")
    assert (code, status) == ("AccessDenied", 403)
    assert "could not be decided" in message
    assert "aws:SourceVpc is not known here" in message
    assert aws.ledger[-1].undecided


def test_policy_variables_and_conditions_count(aws: LocalAWS) -> None:
    statements = [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::alpha-drop/${aws:userid}/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": "*",
            "Condition": {"StringLike": {"s3:prefix": ["${aws:userid}/*"]}},
        },
    ]
    aws.add_role("own", {"Version": "2012-10-17", "Statement": statements})
    credentials = aws.credentials("own", "me")
    s3 = client_of(aws, credentials, "s3")
    me = client_of(aws, credentials, "sts").get_caller_identity()["UserId"]
    s3.put_object(Bucket="alpha-drop", Key=f"{me}/x", Body=b"")
    assert refusal(s3.put_object, Bucket="alpha-drop", Key="AROAOTHER:me/x", Body=b"")[0] == "AccessDenied"
    assert s3.list_objects_v2(Bucket="alpha-drop", Prefix=f"{me}/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket="alpha-drop")[0] == "AccessDenied"


def test_a_presigned_url_is_the_call_of_who_signed_it(aws: LocalAWS, credentials: Credentials) -> None:
    for version in ("s3", "s3v4"):
        s3 = client_of(aws, credentials, "s3", signature_version=version)

        def link(key: str, lasts: int, client: Any = s3) -> str:
            params = {"Bucket": "alpha-data", "Key": key}
            return str(client.generate_presigned_url("get_object", Params=params, ExpiresIn=lasts))

        with urllib.request.urlopen(link("in/a b+ü.csv", 60)) as answer:  # noqa: S310
            assert answer.read() == b"hello"
        for key, lasts, says in (
            ("deny/secret.csv", 60, "explicit deny"),
            ("in/a b+ü.csv", -5, "Request has expired"),
        ):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(link(key, lasts))  # noqa: S310
            assert caught.value.code == 403
            assert says in caught.value.read().decode()
        assert aws.ledger[-1].session == "write"
