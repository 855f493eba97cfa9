"""A user with nothing but curl: what HTTP itself can ask of the object store of a simulated cloud."""

import hashlib
import hmac
import io
import json
import subprocess
import tarfile

import pytest

from tests.clouds import running_cloud

END = "4102444800"
pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]


class Curl:
    """curl with a token, in a directory of its own; paths are below the account."""

    def __init__(self, folder, url, token):
        self.folder, self.url, self.token = folder, url, token

    def __call__(self, path, *words, token=True):
        """Status and body of the last answer."""
        command = ["curl", "-sS", "--globoff", "--max-time", "60", "-w", "\n%{http_code}", f"{self.url}/{path}", *words]
        command += ["-H", f"X-Auth-Token: {self.token}"] if token else []
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    def head(self, path):
        """The headers of a HEAD, lower-case."""
        status, text = self(path, "-I")
        assert status == 200, text
        lines = text.decode().replace("\r", "").splitlines()
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if ": " in line)}


def signature(*lines):
    return hmac.new(b"key", "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def test_all_that_curl_can(tmp_path):
    with running_cloud(simulate=True) as cloud:
        api = cloud.api()
        curl = Curl(tmp_path, api.endpoint("object-store"), api.token)
        assert curl("c", "-X", "PUT")[0] == 201
        uploads(curl)
        ranges(curl)
        conditions(curl)
        manifest(curl)
        archive(curl)
        without_a_token(curl)
        assert (
            curl("?bulk-delete", "-d", "c/o\nc/s1\nc/s2\nc/large\nc/chunked\nc/expected\nc/form-a.txt\nnone/o")[0]
            == 200
        )
        assert curl("c", "-X", "DELETE")[0] == 204


def uploads(curl):
    """From a file, from a pipe in chunks, and after asking whether it may."""
    (curl.folder / "o").write_bytes(bytes(range(100)))
    (curl.folder / "big").write_bytes(bytes(range(256)) * 8192)
    assert curl("c/o", "-T", "o", "-H", "X-Object-Meta-Colour: blue", "-H", "X-Delete-After: 3600")[0] == 201
    told = curl.head("c/o")
    assert (told["content-length"], told["x-object-meta-colour"], "x-delete-at" in told) == ("100", "blue", True)
    assert curl("c/chunked", "-T", "big", "-H", "Transfer-Encoding: chunked")[0] == 201
    assert curl("c/expected", "-T", "big", "-H", "Expect: 100-continue")[0] == 201
    whole = (curl.folder / "big").read_bytes()
    assert [curl(path)[1] for path in ("c/chunked", "c/expected")] == [whole, whole]
    assert curl("c/bad", "-T", "o", "-H", "ETag: 0")[0] == 422
    assert curl("c/past", "-T", "o", "-H", "X-Delete-After: -1")[0] == 400
    assert curl("none/o", "-T", "big", "-H", "Expect: 100-continue")[0] == 404


def ranges(curl):
    content = bytes(range(100))
    assert curl("c/o", "-r", "10-19") == (206, content[10:20])
    assert curl("c/o", "-r", "-5") == (206, content[-5:])
    status, body = curl("c/o", "-r", "0-1,98-")
    assert (status, body.count(b"Content-Range: bytes"), content[98:] in body) == (206, 2, True)
    assert curl("c/o", "-r", "100-")[0] == 416
    assert curl("c/chunked", "-r", "1000000-1000009")[1] == bytes(range(64, 74))


def conditions(curl):
    etag = curl.head("c/o")["etag"]
    assert curl("c/o", "-T", "o", "-H", "If-None-Match: *")[0] == 412
    assert curl("c/o", "-H", f"If-None-Match: {etag}")[0] == 304
    assert curl("c/o", "-H", "If-Match: x")[0] == 412
    assert curl("c/o", "-z", "Sat, 01 Jan 2050 00:00:00 GMT")[0] == 304
    assert json.loads(curl("c?format=json&prefix=o")[1])[0]["bytes"] == 100
    assert curl("c?limit=1&prefix=chunked", "-H", "Accept: application/xml")[1].startswith(b"<?xml")


def manifest(curl):
    """A static large object by hand."""
    for name, body in (("s1", "first,"), ("s2", "second")):
        assert curl(f"c/{name}", "-X", "PUT", "-d", body)[0] == 201
    (curl.folder / "manifest").write_text(json.dumps([{"path": "/c/s1", "size_bytes": 6}, {"path": "/c/s2"}]))
    assert curl("c/large?multipart-manifest=put", "-T", "manifest")[0] == 201
    assert (curl("c/large")[1], curl("c/large", "-r", "4-7")[1]) == (b"first,second", b"t,se")
    assert [one["bytes"] for one in json.loads(curl("c/large?multipart-manifest=get")[1])] == [6, 6]


def archive(curl):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        packed.add(curl.folder / "o", "unpacked/o")
    (curl.folder / "packed.tar.gz").write_bytes(out.getvalue())
    status, told = curl("box?extract-archive=tar.gz", "-T", "packed.tar.gz", "-H", "Accept: application/json")
    assert (status, json.loads(told)["Number Files Created"]) == (200, 1)
    assert curl("box/unpacked/o")[1] == bytes(range(100))
    told = json.loads(curl("?bulk-delete", "-d", "box/unpacked/o\nbox", "-H", "Accept: application/json")[1])
    assert (told["Number Deleted"], told["Errors"]) == (2, [])


def without_a_token(curl):
    """A signed address, a form, and what is public."""
    account = curl.url.rpartition("/")[2]
    assert curl("c/o", token=False)[0] == 401
    assert curl("", "-X", "POST", "-H", "X-Account-Meta-Temp-URL-Key: key")[0] == 204
    sig = signature("GET", END, f"/v1/{account}/c/o")
    assert curl(f"c/o?temp_url_sig={sig}&temp_url_expires={END}", token=False) == (200, bytes(range(100)))
    assert curl(f"c/o?temp_url_sig={sig}&temp_url_expires={END}", "-X", "DELETE", token=False)[0] == 401
    (curl.folder / "a.txt").write_text("by a form")
    fields = {"redirect": "", "max_file_size": "100", "max_file_count": "1", "expires": END}
    fields["signature"] = signature(f"/v1/{account}/c/form-", *fields.values())
    words = [word for name, value in fields.items() for word in ("-F", f"{name}={value}")]
    assert curl("c/form-", *words, "-F", "file=@a.txt", token=False)[0] == 201
    assert curl("c/form-a.txt")[1] == b"by a form"
    assert curl("c", "-X", "POST", "-H", "X-Container-Read: .r:*")[0] == 204
    assert curl("c/o", token=False)[0] == 200
