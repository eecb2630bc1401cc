"""What the Debian system already has, as Bazel repositories: rule sets and libraries."""

def _debian_rules_impl(rctx):
    root = rctx.path(rctx.attr.path)
    if not root.exists:
        fail("%s is missing: run tools/install_deps" % rctx.attr.path)
    copied = rctx.execute(["cp", "-rL", str(root) + "/.", "."])
    if copied.return_code != 0:
        fail(copied.stderr)
    for path in rctx.attr.patch:
        text = rctx.read(path)
        for old, new in rctx.attr.substitute.items():
            text = text.replace(old, new)
        rctx.file(path, text, executable = False)

debian_rules = repository_rule(
    implementation = _debian_rules_impl,
    local = True,
    attrs = {
        "patch": attr.string_list(doc = "Files in which `substitute` applies."),
        "path": attr.string(mandatory = True),
        "substitute": attr.string_dict(),
    },
)

# Stands for every installed Abseil archive: which ones a program needs changes with each include.
_ABSL = "*absl*"

# Bazel name: (Debian package, what the linker needs). Listed by hand because `pkg-config --static --libs grpc++` takes
# two seconds a call (it reads 200 absl files).
_LIBS = {
    "absl": ("libabsl-dev", [_ABSL]),
    # Headers only, Beast among them.
    "boost_asio": ("libboost1.81-dev", []),
    "boost_json": ("libboost-json1.81-dev", ["boost_json"]),
    "cli11": ("libcli11-dev", []),
    "curl": ("libcurl4-openssl-dev", ["curl"]),  # shared only: not with --config=release
    "gmock": ("libgmock-dev", ["gmock", "gtest"]),
    "gmock_main": ("libgmock-dev", ["gmock_main", "gmock", "gtest"]),
    "grpc++": ("libgrpc++-dev", ["grpc++", "grpc", "gpr", "address_sorting", "upb", "cares", "re2", "ssl", "crypto", "protobuf", "z", _ABSL]),
    "openssl": ("libssl-dev", ["ssl", "crypto"]),
    "protobuf": ("libprotobuf-dev", ["protobuf", "z"]),
    "yaml-cpp": ("libyaml-cpp-dev", ["yaml-cpp"]),
}

# Debian ships these as archives only.
_ARCHIVE_ONLY = ["gtest", "gmock", "gmock_main", "address_sorting", "upb"]

# The shared libgrpc brings these itself.
_STATIC_ONLY = ["address_sorting", "upb", "cares", "re2"]

def _version_define(name, version):
    """A -D that changes with the package: headers under /usr/include are no Bazel inputs, so nothing else would."""
    return "SYSLIB_%s=%s" % (
        name.upper().replace("+", "P").replace("-", "_"),
        "".join([c if c.isalnum() else "_" for c in version.elems()]),
    )

def _cc_library(name, version, libs):
    static = ["-Wl,--start-group"] + ["-l:lib%s.a" % lib for lib in libs] + ["-Wl,--end-group", "-pthread"]
    shared = ["-Wl,--as-needed"] + [
        "-l:lib%s.a" % lib if lib in _ARCHIVE_ONLY else "-l" + lib
        for lib in libs
        if lib not in _STATIC_ONLY
    ] + ["-pthread"]
    if not libs:
        static, shared = [], []
    return """cc_library(
    name = "{name}",
    defines = ["{define}"],
    linkopts = select({{":static_libs": {static}, "//conditions:default": {shared}}}),
)
""".format(name = name, define = _version_define(name, version), static = repr(static), shared = repr(shared))

def _system_libs_impl(rctx):
    multiarch = rctx.execute(["gcc", "-print-multiarch"]).stdout.strip()
    archives = rctx.execute(["sh", "-c", "ls /usr/lib/%s/libabsl_*.a" % multiarch]).stdout.strip().split("\n")
    absl = [path.rpartition("/")[2][len("lib"):-len(".a")] for path in archives]

    packages = {package: None for package, _ in _LIBS.values()}
    query = rctx.execute(["dpkg-query", "-W", "-f", "${Package} ${Version}\n"] + packages.keys())
    if query.return_code != 0:
        fail("a library is missing: run tools/install_deps\n" + query.stderr)
    versions = dict([line.split(" ") for line in query.stdout.strip().split("\n")])

    build = ["""package(default_visibility = ["//visibility:public"])

config_setting(name = "static_libs", values = {"define": "syslibs=static"})

exports_files(["ca-certificates.crt", "bin/protoc", "bin/grpc_cpp_plugin"])
"""]
    for name, (package, libs) in _LIBS.items():
        flat = []
        for lib in libs:
            flat += absl if lib == _ABSL else [lib]
        build.append(_cc_library(name, versions[package], flat))
    rctx.file("BUILD.bazel", "\n".join(build))

    rctx.symlink("/etc/ssl/certs/ca-certificates.crt", "ca-certificates.crt")
    for tool in ["protoc", "grpc_cpp_plugin"]:
        path = rctx.which(tool)
        if path == None:
            fail("%s is missing: run tools/install_deps" % tool)
        rctx.symlink(path, "bin/" + tool)

system_libs = repository_rule(
    implementation = _system_libs_impl,
    local = True,  # Quick, and run again at each server start: it follows apt upgrades.
    configure = True,
)
