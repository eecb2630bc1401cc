#!/bin/sh
# Stands in for Bazel's downloaded coverage tools, which every cc_test names but only `bazel coverage` runs.
exit 0
