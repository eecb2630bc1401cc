// cpp-httplib with our library. For each line of input it says by which token the cluster knows it.
//
//   client-cpp [IMPORT]      the only config there is; or, by the sidecar's stream, this import's

#include <boost/json.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "client/cpp/configs.h"
#include "client/cpp/httplib_client.h"
#include "client/cpp/sidecar_client.h"

namespace {

std::string KnownAs(const mcsa::HttplibClient& api) {
  const httplib::Result result =
      api.client->Post(api.base_path + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                       R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})", "application/json");
  if (!result) return "error " + httplib::to_string(result.error());
  if (result->status != 201) return "error status " + std::to_string(result->status);
  const boost::json::value review = boost::json::parse(result->body);
  const boost::json::value& extra = review.at("status").at("userInfo").at("extra");
  return "ok " + boost::json::serialize(extra.at("authentication.kubernetes.io/credential-id"));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string import = argc > 1 ? argv[1] : "";
  const auto sidecar = import.empty() ? nullptr : std::make_unique<mcsa::SidecarClient>();
  const absl::StatusOr<mcsa::RemoteConfig> config = sidecar ? sidecar->Config(import) : mcsa::ConfigAndNamespace();
  const absl::StatusOr<mcsa::HttplibClient> api =
      config.ok() ? mcsa::MakeHttplibClient(*config) : absl::StatusOr<mcsa::HttplibClient>(config.status());
  if (!api.ok()) {
    std::cerr << api.status() << "\n";
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) std::cout << KnownAs(*api) << std::endl;
}
