"""Container images of one static program, without a daemon."""

def mcsa_image(name, binary, image, description, files = {}):
    """An OCI archive, <name>.tar, of `binary` and the system's CA roots; tools/images builds all of them.

    It is named multicluster-service-account/<image>:<version>. Meaningful with --config=release only: other builds are
    not static, and the image has no libraries.

    Args:
      name: of the target
      binary: its entry point, at /<name of the program>
      image: last part of the image's name
      description: a sentence for registries
      files: further files: label -> "<mode>=/<path in the image>", as {"//x:y": "755=/y"}
    """
    program = binary.rpartition(":")[2]
    extra = ["$(location %s):%s" % (label, place) for label, place in files.items()]
    native.genrule(
        name = name,
        srcs = [binary, "//k8s/core:version.txt", "@system//:ca-certificates.crt"] + list(files.keys()),
        outs = [name + ".tar"],
        tags = ["manual", "mcsa_image"],
        tools = ["//tools:oci_layout.py"],
        visibility = ["//visibility:public"],
        cmd = " ".join([
            "version=$$(cat $(location //k8s/core:version.txt));",
            "$(location //tools:oci_layout.py) $@",
            "--name multicluster-service-account/%s:$$version --entrypoint /%s" % (image, program),
            "--env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "--label org.opencontainers.image.title=multicluster-service-account-%s" % image,
            "--label org.opencontainers.image.version=$$version",
            "--label org.opencontainers.image.licenses=Apache-2.0",
            "--label org.opencontainers.image.description='%s'" % description.replace("'", "'\\''"),
            "$(location %s):755=/%s" % (binary, program),
            "$(location @system//:ca-certificates.crt)=/etc/ssl/certs/ca-certificates.crt",
        ] + extra),
    )
