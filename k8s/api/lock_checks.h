#ifndef K8S_API_LOCK_CHECKS_H_
#define K8S_API_LOCK_CHECKS_H_

namespace k8s {

// Debian builds Abseil for debugging: each lock of an absl::Mutex, of which gRPC has a few for each connection and
// call, is looked up in a graph of all of them, to report cycles. With a thousand streams that is a tenth of the
// broker's work. To be called first in each program that serves gRPC. Our own locks are std::mutex.
void SkipLockOrderChecks();

}  // namespace k8s

#endif  // K8S_API_LOCK_CHECKS_H_
