"""Tokens of the import: one that ends soon, the next that the broker makes, and the end of an old one."""

import base64
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

IMPORT = "lister"


def kubectl(cluster: str, *arguments: str, text: str = "") -> str:
    command = ["kubectl", "--context", cluster, *arguments]
    return subprocess.run(command, check=True, input=text, capture_output=True, text=True).stdout


def claims(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def credential_id(token: str) -> str:
    return f"JTI={claims(token)['jti']}"


def short_lived(token: str, key: Path, seconds: int) -> str:
    """Return a token like this one, but newer, that ends soon. API servers grant a minute more, as clocks differ."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    while (now := int(time.time())) <= claims(token)["iat"]:
        time.sleep(0.1)
    ours = claims(token) | {"jti": str(uuid.uuid4()), "iat": now, "nbf": now, "exp": now + seconds}
    text = f"{token.split('.')[0]}.{encode(json.dumps(ours).encode())}"
    sign = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    return f"{text}.{encode(subprocess.run(sign, input=text.encode(), check=True, capture_output=True).stdout)}"


def await_refusal(files: dict[str, bytes]) -> None:
    """Return once the API server answers this token 401."""
    context = ssl.create_default_context(cadata=files["ca.crt"].decode())
    request = urllib.request.Request(
        files["server"].decode() + "/api", headers={"Authorization": "Bearer " + files["token"].decode()}
    )
    end = time.monotonic() + 400
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(request, context=context, timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                return
        time.sleep(1)
    raise SystemExit("the old token is still accepted after seven minutes")


def await_token_after(old: str) -> dict[str, bytes]:
    """Return the files of the import's Secret once they hold another token."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        label = f"--selector=multicluster.admiralty.io/service-account-import.name={IMPORT}"
        for item in json.loads(kubectl("cluster1", "get", "secret", "--output=json", label))["items"]:
            files = {name: base64.b64decode(value) for name, value in item.get("data", {}).items()}
            if files.get("token", old.encode()).decode() != old:
                return files
        time.sleep(0.2)
    raise SystemExit("the broker made no other token within a minute")
