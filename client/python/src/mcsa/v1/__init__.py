"""Messages of the sidecar and the broker, generated from proto/. They hold tokens: never print or log one."""
