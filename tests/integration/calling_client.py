"""Calls an API server once a second with a token that it reads from its file each time.

Usage: calling_client.py DIRECTORY SECONDS

DIRECTORY holds server, ca.crt and token, as an import's mount does. Prints a JSON object: calls answered with 200, calls
refused (401 or 403), calls that got neither, token changes seen, and whether the first token has ended.
"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request


def expiry(token):
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]


def main():
    directory, seconds = sys.argv[1], float(sys.argv[2])
    read = lambda name: open(f"{directory}/{name}").read()
    url = read("server") + "/api/v1/namespaces/default/pods?limit=1"
    tls = ssl.create_default_context(cafile=f"{directory}/ca.crt")
    first = last = read("token")
    counts = {"answered": 0, "refused": 0, "failed": 0, "changes": 0}
    started = time.monotonic()
    for second in range(int(seconds)):
        time.sleep(max(0, started + second - time.monotonic()))
        token = read("token")
        counts["changes"] += token != last
        last = token
        request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(request, context=tls, timeout=5) as response:
                response.read()
            counts["answered"] += 1
        except urllib.error.HTTPError as error:
            counts["refused" if error.code in (401, 403) else "failed"] += 1
            print(f"{time.strftime('%T')} HTTP {error.code}", file=sys.stderr)
        except OSError as error:
            counts["failed"] += 1
            print(f"{time.strftime('%T')} {error}", file=sys.stderr)
    print(json.dumps({**counts, "first_token_ended": time.time() > expiry(first)}))


main()
