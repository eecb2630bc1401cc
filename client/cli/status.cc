#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <iostream>
#include <memory>

#include "client/cli/cli.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace cli {
namespace {

struct Flags {
  ClusterFlags cluster;
  std::string namespace_name;
  std::string output = "table";
};

int Run(const Flags& flags) {
  absl::StatusOr<Cluster> cluster = OpenOneCluster(flags.cluster);
  if (!cluster.ok()) return Fail(cluster.status());
  absl::StatusOr<k8s::ObjectList> list = cluster->client().List(k8s::kImports, flags.namespace_name);
  if (absl::IsNotFound(list.status())) {
    return Fail(absl::NotFoundError(absl::StrCat("multicluster-service-account is not installed in ", cluster->context,
                                                 "; apply its manifest first")));
  }
  if (!list.ok()) return Fail(list.status());
  k8s::JsonArray rows;
  std::string table = absl::StrFormat("%-10s %-45s %-20s %-7s %s\n", "KIND", "NAME", "CLUSTER", "READY", "EXPIRES");
  int not_ready = 0, sources = 0;
  for (const k8s::Json& object : list->items) {
    const absl::StatusOr<k8s::ServiceAccountImport> import = k8s::ParseServiceAccountImport(object);
    if (!import.ok()) continue;
    const k8s::Condition* ready = k8s::FindCondition(import->status, "Ready");
    const bool is_ready = ready != nullptr && ready->status;
    const bool is_source =
        import->meta.namespace_name == k8s::kBrokerNamespace && import->meta.labels.contains(k8s::kSourceClusterLabel);
    const std::string reason = ready == nullptr ? "NotSeen" : ready->reason;
    const std::string message = ready == nullptr ? "no broker has looked at it yet; does one run?" : ready->message;
    const std::string name = k8s::ToString(import->meta.key());
    const char* kind = is_source ? "source" : "import";
    rows.push_back(k8s::JsonObject{{"kind", kind},
                                   {"name", name},
                                   {"cluster", import->spec.cluster_name},
                                   {"ready", is_ready},
                                   {"reason", reason},
                                   {"message", message},
                                   {"expiresAt", import->status.expires_at}});
    absl::StrAppendFormat(&table, "%-10s %-45s %-20s %-7s %s\n", kind, name, import->spec.cluster_name,
                          is_ready ? "yes" : "no", import->status.expires_at);
    if (!is_ready) absl::StrAppend(&table, "           ", reason, ": ", message, "\n");
    not_ready += !is_ready;
    sources += is_source;
  }
  if (flags.output == "json") {
    std::cout << boost::json::serialize(rows) << "\n";
  } else if (!rows.empty()) {
    std::cout << table;
  }
  if (flags.namespace_name.empty()) {
    if (sources == 0)
      Note(absl::StrCat("no source is connected; do: kubemcsa bootstrap ", cluster->context, " SOURCE"));
  } else if (rows.empty()) {
    Note(absl::StrCat("there is no import in namespace ", flags.namespace_name));
  }
  return not_ready == 0 ? kExitOk : kExitFailed;
}

}  // namespace

void AddStatus(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("status", "list sources and imports of a target; exits with 1 if one is not ready");
  auto flags = std::make_shared<Flags>();
  command->add_option("-n,--namespace", flags->namespace_name, "one namespace; default all");
  AddFlags(*command, flags->cluster, "target");
  command->add_option("-o,--output", flags->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->footer("Example: kubemcsa status --context cluster1 -o json");
  command->callback([flags, &status] { status = Run(*flags); });
}

void AddVersion(CLI::App& app, int&) {
  CLI::App* command = app.add_subcommand("version", "print the version");
  command->footer("Example: kubemcsa version");
  command->callback([&app] { std::cout << app.version() << "\n"; });
}

}  // namespace cli
