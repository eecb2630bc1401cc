"""Calls ConfigService, by what protoc makes of the proto alone (the folder of which is on PYTHONPATH).

    grpc_client.py ADDRESS CA_FILE TOKEN_FILE get NAME | list | watch [NAME...] | oversized | health

CA_FILE and TOKEN_FILE may be "-" for none: without a CA the address is called in the clear. Answers are JSON lines on standard
output, tokens in them in full; of a stream one for each message. The last one is the status: {"code": "OK", "details": "", ...}.
"""

import json
import sys
import time

import grpc
from google.protobuf import json_format
from mcsa.v1 import config_service_pb2 as messages
from mcsa.v1 import config_service_pb2_grpc as stubs

SERVER_NAME = "service-account-import-controller.multicluster-service-account.svc"


def channel(address, ca_file):
    options = [("grpc.keepalive_time_ms", 10000)]
    if ca_file == "-":
        return grpc.insecure_channel(address, options)
    with open(ca_file, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(address, credentials, options + [("grpc.ssl_target_name_override", SERVER_NAME)])


def say(**fields):
    print(json.dumps(fields), flush=True)


def as_dict(message):
    """As JSON, but with the token as text."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for state, import_fields in zip(getattr(message, "imports", []), fields.get("imports", [])):
        if state.config.token:
            import_fields["config"]["token"] = state.config.token.decode()
    if "config" in fields:
        fields["config"]["token"] = message.config.token.decode()
    return fields


def main(address, ca_file, token_file, command, *names):
    metadata = []
    if token_file != "-":
        with open(token_file) as file:
            metadata = [("authorization", "Bearer " + file.read().strip())]
    connection = channel(address, ca_file)
    stub = stubs.ConfigServiceStub(connection)
    try:
        if command == "get":
            say(**as_dict(stub.GetConfig(messages.GetConfigRequest(name=names[0]), metadata=metadata, timeout=10)))
        elif command == "health":
            check = connection.unary_unary("/grpc.health.v1.Health/Check")  # in bytes: its messages are another package
            say(serving=check(b"", timeout=10) == b"\x08\x01")
        elif command == "oversized":
            stub.GetConfig(messages.GetConfigRequest(name="x" * (10 << 20)), metadata=metadata, timeout=10)
        elif command == "list":
            say(**as_dict(stub.ListConfigs(messages.ListConfigsRequest(), metadata=metadata, timeout=10)))
        elif command == "watch":
            for message in stub.WatchConfigs(messages.WatchConfigsRequest(names=names), metadata=metadata):
                say(time=time.time(), **as_dict(message))
        say(code="OK", details="")
    except grpc.RpcError as error:
        say(time=time.time(), code=error.code().name, details=error.details())


if __name__ == "__main__":
    main(*sys.argv[1:])
