#ifndef CLIENT_CLI_CLI_H_
#define CLIENT_CLI_CLI_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "k8s/api/cluster_connection.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/json.h"

// What the commands of kubemcsa share: clusters, output and exit statuses. Single-threaded.
namespace cli {

// Exit statuses, told in --help.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       // the cluster says no, or something is not there
inline constexpr int kExitUsage = 2;        // the command line is wrong
inline constexpr int kExitUnreachable = 3;  // a cluster cannot be reached

// Progress for a person, on standard error: green ✓, yellow ! and red ✗ on a terminal unless NO_COLOR is set.
void Done(const std::string& text);
void Note(const std::string& text);

// Prints the error and what to do next; returns the exit status that fits its code.
int Fail(const absl::Status& status);

// One cluster of the command line: a context, of a kubeconfig.
struct ClusterFlags {
  std::string kubeconfig;
  std::string context;
  std::string name;
};

struct Cluster {
  std::string name;  // a DNS-1123 subdomain
  std::string context;
  k8s::ClusterAccess access;
  k8s::ClusterConnection connection;
  std::string version;  // "v1.37.2"

  const k8s::Client& client() const { return *connection.client; }
};

// What the cluster is called in both clusters: the name, or else the context. Context names such as EKS's ARNs are
// none. INVALID_ARGUMENT says which flag to add; `role` as below.
absl::StatusOr<std::string> NameOf(const ClusterFlags& flags, const std::string& role);

// Connects and asks for the version. `role` ("target", "source") is used in messages about flags.
absl::StatusOr<Cluster> OpenCluster(const ClusterFlags& flags, const std::string& role);

// Connects, without a role, name or version: for commands about one cluster.
absl::StatusOr<Cluster> OpenOneCluster(const ClusterFlags& flags);

// How others than its admin reach the source: --source-server and --source-ca, else what the admin's kubeconfig says.
struct AddressFlags {
  std::string server, ca_file;
};
void AddFlags(CLI::App& command, AddressFlags& flags);
// `namespace_name` stays empty. INVALID_ARGUMENT: what the kubeconfig says has no place in a Secret, whose readers
// verify the certificate by the name in the URL; with `for_pods`, a loopback address too.
absl::StatusOr<k8s::RemoteCluster> AddressForOthers(const k8s::ClusterAccess& access, const AddressFlags& flags,
                                                    bool for_pods = false);

// Whether the URL means another machine to everybody else. The unspecified address, which k3d writes, does too.
bool IsLoopback(const std::string& server);
// What to say of one: "server is ..., which means ..."
std::string LoopbackAdvice(const std::string& server);

// The resource of an object of any kind that we write.
k8s::Resource ResourceOf(const k8s::Json& object);

// Applies such an object; force, field manager kManager.
inline constexpr char kManager[] = "kubemcsa";
absl::StatusOr<k8s::Json> ApplyObject(const k8s::Client& client, const k8s::Json& object);
absl::Status DeleteObject(const k8s::Client& client, const k8s::Json& object);

// "clusterrole/mcsa:cluster1", and in a namespace "role/mcsa:cluster1 in multicluster-service-account"
std::string Describe(const k8s::Json& object);

// The two clusters of bootstrap and unbootstrap: positional contexts, or --target-* and --source-*.
struct ClusterPairFlags {
  std::vector<std::string> contexts;
  ClusterFlags target, source;
};
void AddFlags(CLI::App& command, ClusterPairFlags& flags);
// Lets the positional contexts take their place. INVALID_ARGUMENT: there is but one.
absl::Status Resolve(ClusterPairFlags& flags);

// --context and --kubeconfig, of the cluster of that role.
void AddFlags(CLI::App& command, ClusterFlags& flags, const std::string& role);

// Waits until `done`, which is asked at least once, says so. False at the timeout.
bool WaitUntil(absl::Duration timeout, const std::function<bool()>& done);

// Each command adds itself to the application and sets `status` when it has run.
void AddBootstrap(CLI::App& app, int& status);
void AddUnbootstrap(CLI::App& app, int& status);
void AddAllow(CLI::App& app, int& status);
void AddDeny(CLI::App& app, int& status);
void AddRenew(CLI::App& app, int& status);
void AddExport(CLI::App& app, int& status);
void AddStatus(CLI::App& app, int& status);
void AddVersion(CLI::App& app, int& status);

}  // namespace cli

#endif  // CLIENT_CLI_CLI_H_
