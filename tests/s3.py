"""An S3 that none of us wrote: moto's server, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from demo.ui import free_port

_SECRETS = {"login": "moto-access-key", "password": "moto-secret-key"}
_REGION = "eu-central-1"
_PATIENCE = 60.0


@contextmanager
def s3_server() -> Iterator[str]:
    """Run the server on a port of its own; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(server, url)
        yield url
    finally:
        server.kill()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        assert server.poll() is None, "moto's server ended at once"
        try:
            requests.get(f"{url}/moto-api/", timeout=5).raise_for_status()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(0.05)
        else:
            return


@dataclass(frozen=True)
class Lake:
    """A bucket, and an Airflow connection that leads to it.

    :param endpoint: address of the server.
    :param conn_id: the connection. Each test has one of its own: what Airflow keeps of one cannot be used by a process
        that is forked later.
    :param bucket: name of the bucket.
    """

    endpoint: str
    conn_id: str
    bucket: str

    @property
    def url(self) -> str:
        """The bucket, as ``ObjectStoragePath`` takes it."""
        return f"s3://{self.conn_id}@{self.bucket}"

    @property
    def connection(self) -> str:
        """The connection as the value of an environment variable."""
        extra = {"endpoint_url": self.endpoint, "region_name": _REGION}
        return json.dumps({"conn_type": "aws", **_SECRETS, "extra": extra})

    @property
    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """A client that is not the one which Airflow has."""
        import boto3  # type: ignore[import-untyped]

        keys = {"aws_access_key_id": _SECRETS["login"], "aws_secret_access_key": _SECRETS["password"]}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=_REGION, **keys)

    def make(self) -> None:
        """Make the bucket."""
        self.client.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": _REGION})

    def put(self, key: str, content: bytes) -> None:
        """Have an object of that key; one of no bytes whose key ends in a slash is what S3's console calls a folder."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """The content of an object."""
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def keys(self, below: str = "") -> list[str]:
        """The keys of all objects, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()))
