#ifndef K8S_CORE_VERSION_H_
#define K8S_CORE_VERSION_H_

namespace k8s {

// The version of all parts; they are released together.
inline constexpr char kVersion[] = "0.1.0-dev";

}  // namespace k8s

#endif  // K8S_CORE_VERSION_H_
