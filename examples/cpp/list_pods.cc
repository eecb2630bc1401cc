#include "examples/cpp/list_pods.h"

#include <absl/strings/str_cat.h>

#include <boost/json.hpp>
#include <string>

#include "client/cpp/httplib_client.h"

namespace examples {
namespace {

constexpr int kConnectSeconds = 5;
constexpr int kReadSeconds = 15;

absl::Status Refusal(int status, const std::string& what) {
  const std::string text = absl::StrCat(what, " was answered with status ", status);
  if (status == 401) return absl::UnauthenticatedError(absl::StrCat(text, ": the token is not accepted"));
  if (status == 403) return absl::PermissionDeniedError(absl::StrCat(text, ": the ServiceAccount may not list pods"));
  return absl::UnavailableError(text);
}

}  // namespace

absl::Status ListPods(const mcsa::RemoteConfig& config, std::ostream& out) {
  // Server and namespace of one moment; the client takes the token at each request.
  const absl::StatusOr<mcsa::ConfigSnapshot> current = config.Current();
  if (!current.ok()) return current.status();
  const absl::StatusOr<mcsa::HttplibClient> api = mcsa::MakeHttplibClient(config);
  if (!api.ok()) return api.status();
  api->client->set_connection_timeout(kConnectSeconds);
  api->client->set_read_timeout(kReadSeconds);

  const std::string& namespace_name = (*current)->namespace_name;
  const std::string what = absl::StrCat("listing the pods of ", namespace_name, " at ", (*current)->server);
  const httplib::Result result =
      api->client->Get(absl::StrCat(api->base_path, "/api/v1/namespaces/", namespace_name, "/pods"));
  if (!result) return absl::UnavailableError(absl::StrCat(what, " failed: ", httplib::to_string(result.error())));
  if (result->status != 200) return Refusal(result->status, what);

  boost::json::error_code error;
  const boost::json::value pods = boost::json::parse(result->body, error);
  if (error || !pods.is_object() || !pods.as_object().contains("items")) {
    return absl::UnavailableError(absl::StrCat(what, ": the answer is no list of pods"));
  }
  out << (*current)->server << "\n" << namespace_name << "\n";
  for (const boost::json::value& pod : pods.at("items").as_array()) {
    out << pod.at("metadata").at("name").as_string().c_str() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace examples
