#!/bin/bash
# kind: long
# failover_test.sh with fifty kills.
FAILOVER_KILLS=${FAILOVER_KILLS-50} . tests/integration/failover_test.sh
