#ifndef K8S_CORE_NAMES_H_
#define K8S_CORE_NAMES_H_

#include <string_view>

// Every name that users, manifests or other clusters see: each literal once. They are a contract (the predecessor's
// users apply our manifest over theirs), so a change here is a breaking change.
namespace k8s {

inline constexpr char kApiGroup[] = "multicluster.admiralty.io";
inline constexpr char kApiVersion[] = "multicluster.admiralty.io/v1alpha1";
inline constexpr char kImportKind[] = "ServiceAccountImport";

// On a pod: the imports it wants, as a comma list. On a Secret, as a label: the import it belongs to.
inline constexpr char kImportNameKey[] = "multicluster.admiralty.io/service-account-import.name";
// On a pod: how its containers take the credential ("files", "kubeconfig", "in-cluster"), which containers do (a comma
// list; all without it), and whether a sidecar keeps it fresh ("enabled", "disabled"; a namespace may carry that too).
inline constexpr char kClientKey[] = "multicluster.admiralty.io/service-account-import.client";
inline constexpr char kContainersKey[] = "multicluster.admiralty.io/service-account-import.containers";
inline constexpr char kSidecarKey[] = "multicluster.admiralty.io/service-account-import.sidecar";
inline constexpr char kSidecarResourcesKey[] = "multicluster.admiralty.io/service-account-import.sidecar-resources";
inline constexpr char kSidecarLogLevelKey[] = "multicluster.admiralty.io/service-account-import.sidecar-log-level";
// On a pod, set by the webhook to "true": what it has patched.
inline constexpr char kInjectedLabel[] = "multicluster.admiralty.io/injected";
// On an import: a new value renews its token once.
inline constexpr char kRenewRequestedKey[] = "multicluster.admiralty.io/renew-requested-at";
// On the Secret of a CA of ours: a new value rotates it once.
inline constexpr char kRotateRequestedKey[] = "multicluster.admiralty.io/rotate-requested-at";
// On an import in kBrokerNamespace, value "true": its token is the broker's own credential for the cluster of that
// name.
inline constexpr char kSourceClusterLabel[] = "multicluster.admiralty.io/source-cluster";
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedByValue[] = "multicluster-service-account";

// The same name in the target (where the broker runs) and in the source (where its identities live).
inline constexpr char kBrokerNamespace[] = "multicluster-service-account";
inline constexpr char kWebhookNamespace[] = "multicluster-service-account-webhook";
inline constexpr char kBrokerName[] = "service-account-import-controller";
inline constexpr char kWebhookName[] = "service-account-import-admission-controller";
// In the broker's namespace: the CA that signs the certificates of its gRPC API.
inline constexpr char kBrokerCaSecret[] = "service-account-import-controller-ca";
// In kWebhookNamespace: the CA of the webhook (ca_rotation.h), kept by the broker.
inline constexpr char kWebhookCaSecret[] = "service-account-import-admission-controller-cert";
// In every namespace that has imports: the ConfigMap with the CA (key kCaKey) of the broker's gRPC API.
inline constexpr char kBrokerCaConfigMap[] = "multicluster-service-account-ca";
// Whom a pod's projected token for the broker is for.
inline constexpr char kBrokerAudience[] = "multicluster-service-account";
// Objects that bootstrap makes in a source carry this prefix and the target's name: "mcsa:cluster1".
inline constexpr char kSourceObjectPrefix[] = "mcsa:";
inline constexpr char kFieldManager[] = "multicluster-service-account";

// Keys of an import's Secret, which are the file names in the pod.
inline constexpr char kServerKey[] = "server";
inline constexpr char kCaKey[] = "ca.crt";
inline constexpr char kNamespaceKey[] = "namespace";
inline constexpr char kTokenKey[] = "token";
inline constexpr char kConfigKey[] = "config";
inline constexpr char kConfigInlineKey[] = "config-inline";

// Where pods find their imports, one folder each.
inline constexpr char kImportsDirectory[] = "/var/run/secrets/admiralty.io/serviceaccountimports";
// Tells our libraries another such directory.
inline constexpr char kImportsDirectoryVariable[] = "MCSA_IMPORTS_DIRECTORY";

// With the sidecar: where it keeps its socket, the merged kubeconfig and the exec plugin, and tells apps so.
inline constexpr char kSidecarContainer[] = "mcsa-sidecar";
inline constexpr char kSidecarDirectory[] = "/var/run/multicluster-service-account";
inline constexpr char kSocketPath[] = "/var/run/multicluster-service-account/mcsa.sock";
inline constexpr char kMergedKubeconfigPath[] = "/var/run/multicluster-service-account/kubeconfig";
inline constexpr char kSocketVariable[] = "MCSA_SOCKET";

}  // namespace k8s

#endif  // K8S_CORE_NAMES_H_
