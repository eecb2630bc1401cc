"""Debian source packages as Bazel repositories, for libraries whose binary package has no static archive."""

def _debian_source_impl(rctx):
    attr = rctx.attr
    fetched = rctx.execute(
        # A label names the script, so that an edit of it fetches again.
        [rctx.path(attr._script), attr.package, attr.version, attr.suite, attr.dsc_sha256, str(rctx.path("source"))],
        timeout = 300,
    )
    if fetched.return_code != 0:
        fail("%s %s:\n%s" % (attr.package, attr.version, fetched.stderr))

    # The package's own Bazel files would cut its folders out of our globs.
    rctx.execute(["find", "source", "-name", "BUILD", "-delete", "-o", "-name", "BUILD.bazel", "-delete", "-o", "-name", "WORKSPACE", "-delete"])
    for path, text in attr.files.items():
        rctx.file(path, text, executable = False)
    rctx.symlink(attr.build_file, "BUILD.bazel")

debian_source = repository_rule(
    implementation = _debian_source_impl,
    # Neither `local` nor `environ`: a made repository stays made, also without network.
    attrs = {
        "build_file": attr.label(mandatory = True),
        "dsc_sha256": attr.string(mandatory = True, doc = "The .dsc holds the tarballs' hashes, so this pins all of it."),
        "files": attr.string_dict(doc = "Further files to write: path to text."),
        "package": attr.string(mandatory = True),
        "suite": attr.string(mandatory = True, doc = "The release that carries the version; its security suite counts too."),
        "version": attr.string(mandatory = True, doc = "The exact Debian version."),
        "_script": attr.label(default = "//tools:debian_source.sh"),
    },
)
