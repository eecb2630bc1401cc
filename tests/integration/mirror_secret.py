"""Keeps a Secret's keys as files, each replaced in one step when it changes, as the kubelet does for a pod.

Usage: mirror_secret.py CONTEXT SECRET DIRECTORY

Runs until it is ended.
"""

import base64
import json
import os
import subprocess
import sys


def main():
    context, secret, directory = sys.argv[1:]
    while True:
        watch = subprocess.Popen(
            ["kubectl", "--context", context, "get", "secret", secret, "--watch", "-o", 'jsonpath={.data}{"\\n"}'],
            stdout=subprocess.PIPE, text=True)
        for line in watch.stdout:
            for key, value in json.loads(line or "{}").items():
                with open(f"{directory}/.{key}", "wb") as file:
                    file.write(base64.b64decode(value))
                os.rename(f"{directory}/.{key}", f"{directory}/{key}")


main()
