"""C++ messages and gRPC stubs of a .proto, made by Debian's protoc."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def cc_grpc_library(name, src, visibility):
    """A library of `src`, which is included by its path below //proto: "mcsa/v1/config_service.grpc.pb.h".

    The messages use Protobuf's lite runtime. Programs are smaller for it, and a lite message cannot be printed.
    """
    stem = src[:-len(".proto")]
    outs = [stem + extension for extension in [".pb.h", ".pb.cc", ".grpc.pb.h", ".grpc.pb.cc"]]
    native.genrule(
        name = name + "_files",
        srcs = [src],
        outs = outs,
        cmd = " ".join([
            "$(location @system//:bin/protoc) --proto_path=proto --proto_path=/usr/include",
            "--cpp_out=lite:$(GENDIR)/proto --grpc_out=$(GENDIR)/proto",
            "--plugin=protoc-gen-grpc=$(location @system//:bin/grpc_cpp_plugin) $<",
        ]),
        tools = [
            "@system//:bin/grpc_cpp_plugin",
            "@system//:bin/protoc",
        ],
    )
    cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w"],  # generated code is not held to our warnings
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = ["@system//:grpc++"],
    )
