#ifndef CLIENT_CPP_CURL_HANDLE_H_
#define CLIENT_CPP_CURL_HANDLE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <curl/curl.h>

#include <memory>
#include <string>

#include "client/cpp/remote_config.h"

namespace mcsa {

// A libcurl easy handle for a config's API server:
//
//   absl::StatusOr<mcsa::CurlHandle> api = mcsa::CurlHandle::Make(*config);
//   ...
//   if (absl::Status status = api->Prepare("/api/v1/namespaces/default/pods"); !status.ok()) return status;
//   CURLcode code = curl_easy_perform(api->get());
//
// curl_global_init is the program's to call. Threads: as the easy handle's, one at a time.
class CurlHandle {
 public:
  // RESOURCE_EXHAUSTED: libcurl gave no handle.
  static absl::StatusOr<CurlHandle> Make(const RemoteConfig& config);

  // To be called before each transfer: sets the URL (the server's and `path`, which must be escaped), the CA, the
  // client certificate, the proxy and the credential, all as they are now. It leaves every other option as the caller
  // set it. Errors: those of RemoteConfig::Current(); INTERNAL, this libcurl does not take an option.
  absl::Status Prepare(const std::string& path);

  CURL* get() const { return handle_.get(); }

 private:
  CurlHandle(const RemoteConfig& config, CURL* handle) : config_(config), handle_(handle, &curl_easy_cleanup) {}

  RemoteConfig config_;
  std::unique_ptr<CURL, void (*)(CURL*)> handle_;
  // What CURLOPT_CONNECT_TO points to, which libcurl does not copy.
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> connect_to_{nullptr, &curl_slist_free_all};
  ConfigSnapshot prepared_;  // what the handle holds now
};

}  // namespace mcsa

#endif  // CLIENT_CPP_CURL_HANDLE_H_
