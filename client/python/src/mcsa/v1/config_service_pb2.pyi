from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Config(_message.Message):
    __slots__ = ["audiences", "ca_bundle", "cluster_name", "expires_at", "expires_in", "issued_at", "name", "namespace", "server", "state", "state_reason", "token", "token_id", "version"]
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    CA_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRED: Config.State
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    FRESH: Config.State
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    STALE: Config.State
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_UNSPECIFIED: Config.State
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    ca_bundle: str
    cluster_name: str
    expires_at: _timestamp_pb2.Timestamp
    expires_in: _duration_pb2.Duration
    issued_at: _timestamp_pb2.Timestamp
    name: str
    namespace: str
    server: str
    state: Config.State
    state_reason: str
    token: bytes
    token_id: str
    version: str
    def __init__(self, name: _Optional[str] = ..., namespace: _Optional[str] = ..., cluster_name: _Optional[str] = ..., server: _Optional[str] = ..., ca_bundle: _Optional[str] = ..., token: _Optional[bytes] = ..., token_id: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., issued_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_in: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., state: _Optional[_Union[Config.State, str]] = ..., state_reason: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ["config"]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: Config
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class ImportError(_message.Message):
    __slots__ = ["code", "message", "reason"]
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_UNSPECIFIED: ImportError.Code
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NOT_ALLOWED: ImportError.Code
    NOT_FOUND: ImportError.Code
    NOT_READY: ImportError.Code
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVOKED: ImportError.Code
    code: ImportError.Code
    message: str
    reason: str
    def __init__(self, code: _Optional[_Union[ImportError.Code, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ImportState(_message.Message):
    __slots__ = ["config", "error", "name"]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    config: Config
    error: ImportError
    name: str
    def __init__(self, name: _Optional[str] = ..., config: _Optional[_Union[Config, _Mapping]] = ..., error: _Optional[_Union[ImportError, _Mapping]] = ...) -> None: ...

class ListConfigsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListConfigsResponse(_message.Message):
    __slots__ = ["imports"]
    IMPORTS_FIELD_NUMBER: _ClassVar[int]
    imports: _containers.RepeatedCompositeFieldContainer[ImportState]
    def __init__(self, imports: _Optional[_Iterable[_Union[ImportState, _Mapping]]] = ...) -> None: ...

class WatchConfigsRequest(_message.Message):
    __slots__ = ["names"]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchConfigsResponse(_message.Message):
    __slots__ = ["imports"]
    IMPORTS_FIELD_NUMBER: _ClassVar[int]
    imports: _containers.RepeatedCompositeFieldContainer[ImportState]
    def __init__(self, imports: _Optional[_Iterable[_Union[ImportState, _Mapping]]] = ...) -> None: ...
