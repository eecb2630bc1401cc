#!/bin/bash
# kind: long
# All clients of the table in docs/clients.md, also those that the default run leaves out; Java's needs Maven.
export MCSA_MATRIX_CLIENTS="kubectl go python cpp node java"
exec bash tests/integration/clients_test.sh
