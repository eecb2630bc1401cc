"""Container images of one static program, without a daemon."""

def mcsa_image(name, binary):
    """An OCI archive, <name>.tar, of `binary` and the system's CA roots, named localhost/<binary>:dev.

    Meaningful with --config=release only: other builds are not static, and the image has no libraries.
    """
    program = binary.rpartition(":")[2]
    native.genrule(
        name = name,
        srcs = [binary, "@system//:ca-certificates.crt"],
        outs = [name + ".tar"],
        tags = ["manual"],
        tools = ["//tools:oci_layout.py"],
        cmd = " ".join([
            "$(location //tools:oci_layout.py) $@",
            "--name localhost/%s:dev --entrypoint /bin/%s" % (program, program),
            "--env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "$(location %s):755=/bin/%s" % (binary, program),
            "$(location @system//:ca-certificates.crt)=/etc/ssl/certs/ca-certificates.crt",
        ]),
    )
