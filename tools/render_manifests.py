#!/usr/bin/python3
"""Prints what a kustomization.yaml lists as one file for kubectl apply, comments and all: no kustomize is needed.

  render_manifests.py KUSTOMIZATION VERSION_FILE

It knows `resources` that are files, and `images` with `newTag`, which must be the version, for names behind `image` and in
an environment variable's `value`; anything else is an error.
tests/integration/install_test.sh compares the result with that of kubectl kustomize.
"""

import pathlib
import re
import sys

import yaml


def main():
    kustomization = pathlib.Path(sys.argv[1])
    version = pathlib.Path(sys.argv[2]).read_text().strip()
    parsed = yaml.safe_load(kustomization.read_text())
    unknown = set(parsed) - {"apiVersion", "kind", "resources", "configurations", "images"}
    if unknown:
        sys.exit(f"{kustomization}: {', '.join(sorted(unknown))} is nothing that this renders")
    tags = {image["name"]: image["newTag"] for image in parsed["images"]}
    for name, tag in tags.items():
        if tag != version:
            sys.exit(f"{kustomization}: the tag of {name} is {tag}, but the version is {version}")

    def with_tag(match):
        if match[2] not in tags:
            sys.exit(f"{kustomization}: images has no tag for {match[2]}")
        return f"{match[1]}{match[2]}:{tags[match[2]]}"

    # Both styles of YAML: the name ends at the line's end, a comma or a brace.
    image = re.compile(r"(\b(?:image|value): )(multicluster-service-account/[^\s:,}]+)")

    for resource in parsed["resources"]:
        text = (kustomization.parent / resource).read_text()
        print("---")
        print(image.sub(with_tag, text), end="")


main()
