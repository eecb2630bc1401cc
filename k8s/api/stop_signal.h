#ifndef K8S_API_STOP_SIGNAL_H_
#define K8S_API_STOP_SIGNAL_H_

namespace k8s {

// Makes SIGTERM and SIGINT wait for AwaitStopSignal, in every thread that is started afterwards, and writing to a
// closed connection an error instead of the end. Call it first in main().
void BlockStopSignals();

// Blocks until one of them comes.
void AwaitStopSignal();

// Whether one came already; AwaitStopSignal returns at once then.
bool IsStopSignalPending();

// The same for an event loop: a file descriptor that is readable once one of them came. The caller's to close.
int OpenStopSignals();

}  // namespace k8s

#endif  // K8S_API_STOP_SIGNAL_H_
