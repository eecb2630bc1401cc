#ifndef K8S_CORE_SOURCE_OBJECTS_H_
#define K8S_CORE_SOURCE_OBJECTS_H_

#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/source_trust.h"

// What bootstrap makes in a source for one target.
namespace k8s {

// The broker's identity, and its right to nothing but tokens of its own account: all that the first token needs.
std::vector<Json> BuildSourceIdentity(const std::string& target_name);

// The fence: admission policies on TokenRequests of that identity alone, and their bindings. Kubernetes 1.30 or newer.
// The last policy is the one that keeps the trust and limits lifetimes: who sees it refuse has the others too, since an
// API server sees objects of one kind in the order of their writes.
//
// Never with paramRef: parameters are looked up before the match conditions, and a missing one would stop every
// TokenRequest of the cluster, those of its kubelets included.
std::vector<Json> BuildFence(const SourceTrust& trust);

// The right to tokens, and to watch the accounts: cluster-wide, or in each namespace of `only`. The ClusterRole is
// there in either case, empty in the second: it keeps the trust where there is no fence, and where somebody deleted it.
// Who may write it may write any right, which cannot be said of a Role in a namespace.
std::vector<Json> BuildSourceGrants(const SourceTrust& trust);

// "mcsa:<target>", the name of the identity's Role, and of ClusterRole and ClusterRoleBinding.
std::string SourceObjectName(const std::string& target_name);

// "mcsa:<target>:accounts", the name of the grants in namespaces: in the broker's own, the plain one is taken.
std::string NamespaceGrantName(const std::string& target_name);

// "mcsa-<target>", the name of the fence: admission policies, unlike roles, may have no colon in theirs. What CEL's
// cost limit keeps out of that policy is in "mcsa2-<target>" and so on.
std::string FenceName(const std::string& target_name);

}  // namespace k8s

#endif  // K8S_CORE_SOURCE_OBJECTS_H_
