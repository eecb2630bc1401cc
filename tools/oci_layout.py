#!/usr/bin/env python3
"""Writes a container image as an OCI layout in a tar: no daemon, no registry, no clock. Same input, same bytes.

  oci_layout.py OUT.tar --name x:1 --entrypoint /bin/x [--env K=V]... [--label K=V]... SOURCE[:MODE]=/path/in/image...

The image has one gzip layer; it holds the files, their folders and /tmp (1777), all owned by root. Labels stand in the
config and, for registries that read only that, as annotations of the manifest. @FILE: arguments from there, one a line.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import tarfile


def tar_entry(name, kind=tarfile.REGTYPE, mode=0o644, size=0):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry  # TarInfo's own defaults are time 0, user 0 and group 0


def tar_of(files, folders=()):
    """files: path without leading slash -> (content, mode). Folders come before what is in them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folders = set(folders)
        for path in files:
            while path := os.path.dirname(path):
                folders.add(path)
        for folder in sorted(folders):
            tar.addfile(tar_entry(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        for path, (content, mode) in sorted(files.items()):
            tar.addfile(tar_entry(path, mode=mode, size=len(content)), io.BytesIO(content))
    return buffer.getvalue()


def to_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, fromfile_prefix_chars="@"
    )
    parser.add_argument("out")
    parser.add_argument("--name", required=True)
    parser.add_argument("--entrypoint", required=True)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--user", default="65532:65532")
    parser.add_argument("--arch", default="amd64")
    parser.add_argument("--level", type=int, default=9, help="of the compression, 0 (none) to 9")
    parser.add_argument("files", nargs="+", metavar="SOURCE[:MODE]=/path")
    args = parser.parse_args()

    files = {}
    for argument in args.files:
        source, path = argument.split("=", 1)
        source, _, mode = source.partition(":")
        with open(source, "rb") as file:
            files[path.lstrip("/")] = (file.read(), int(mode or "644", 8))
    plain = tar_of(files, folders=["tmp"])
    layer = gzip.compress(plain, args.level, mtime=0)

    labels = dict(label.split("=", 1) for label in args.label)
    blobs = {}

    def add_blob(content, media_type):
        blobs["blobs/sha256/" + digest(content).removeprefix("sha256:")] = (content, 0o644)
        return {"mediaType": "application/vnd.oci.image." + media_type, "digest": digest(content), "size": len(content)}

    config = {
        "architecture": args.arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": [args.entrypoint],
            "Env": ["PATH=/"] + args.env,
            "Labels": labels,
            "User": args.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add_blob(to_json(config), "config.v1+json"),
        "layers": [add_blob(layer, "layer.v1.tar+gzip")],
        "annotations": labels,
    }
    entry = add_blob(to_json(manifest), "manifest.v1+json")
    # The first name is for containerd's import, the second for skopeo and others.
    entry["annotations"] = {
        "io.containerd.image.name": args.name,
        "org.opencontainers.image.ref.name": args.name.rpartition(":")[2],
    }
    blobs["oci-layout"] = (b'{"imageLayoutVersion":"1.0.0"}', 0o644)
    blobs["index.json"] = (to_json({"schemaVersion": 2, "manifests": [entry]}), 0o644)
    with open(args.out, "wb") as out:
        out.write(tar_of(blobs))


main()
