#include "client/cpp/curl_handle.h"

#include <absl/strings/str_cat.h>

#include <string_view>
#include <utility>

#include "k8s/core/server_url.h"

namespace mcsa {
namespace {

// Sets options until one fails.
class Options {
 public:
  explicit Options(CURL* handle) : handle_(handle) {}

  template <typename T>
  void Set(CURLoption option, T value) {
    if (code_ == CURLE_OK) code_ = curl_easy_setopt(handle_, option, value);
  }
  void SetBlob(CURLoption option, std::string_view text) {
    curl_blob blob{.data = const_cast<char*>(text.data()), .len = text.size(), .flags = CURL_BLOB_COPY};
    Set(option, text.empty() ? nullptr : &blob);
  }
  // libcurl copies strings, but wants them to end in a zero.
  void SetString(CURLoption option, const k8s::SecretString& text) {
    if (text.empty()) {
      Set<const char*>(option, nullptr);
    } else {
      Set(option, std::string(text.Reveal()).c_str());
    }
  }

  absl::Status status() const {
    if (code_ == CURLE_OK) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("libcurl refused an option: ", curl_easy_strerror(code_)));
  }

 private:
  CURL* const handle_;
  CURLcode code_ = CURLE_OK;
};

}  // namespace

absl::StatusOr<CurlHandle> CurlHandle::Make(const RemoteConfig& config) {
  CURL* handle = curl_easy_init();
  if (handle == nullptr) return absl::ResourceExhaustedError("libcurl gave no handle");
  return CurlHandle(config, handle);
}

absl::Status CurlHandle::Prepare(const std::string& path) {
  absl::StatusOr<ConfigSnapshot> current = config_.Current();
  if (!current.ok()) return current.status();
  const k8s::ClusterAccess& access = **current;
  absl::StatusOr<k8s::ServerUrl> url = k8s::ParseServerUrl(access.server, "the server");
  if (!url.ok()) return url.status();
  Options options(get());
  if (!access.tls_server_name.empty()) {
    // The name to verify is the URL's host, so the host to dial is named apart.
    connect_to_.reset(curl_slist_append(nullptr, absl::StrCat("::", k8s::HostAndPort(*url)).c_str()));
    url->host = access.tls_server_name;
  } else {
    connect_to_.reset();
  }
  options.Set(CURLOPT_CONNECT_TO, connect_to_.get());
  options.Set(CURLOPT_URL,
              absl::StrCat(url->tls ? "https" : "http", "://", k8s::HostAndPort(*url), url->path, path).c_str());
  if (*current == prepared_) return options.status();

  options.Set(CURLOPT_NOSIGNAL, 1L);  // its time-outs would use signals, which programs with threads cannot have
  if (!access.ca_data.empty()) {
    options.Set<const char*>(CURLOPT_CAINFO, nullptr);
    options.Set<const char*>(CURLOPT_CAPATH, nullptr);
  }
  options.SetBlob(CURLOPT_CAINFO_BLOB, access.ca_data);
  options.SetBlob(CURLOPT_SSLCERT_BLOB, access.client_certificate_data);
  options.SetBlob(CURLOPT_SSLKEY_BLOB, access.client_key_data.Reveal());
  options.Set(CURLOPT_SSL_VERIFYPEER, access.insecure_skip_tls_verify ? 0L : 1L);
  options.Set(CURLOPT_SSL_VERIFYHOST, access.insecure_skip_tls_verify ? 0L : 2L);
  options.Set(CURLOPT_PROXY, access.proxy_url.c_str());  // empty: not even the environment's, which is in it already
  options.Set(CURLOPT_HTTPAUTH, access.token.empty() ? CURLAUTH_BASIC : CURLAUTH_BEARER);
  options.SetString(CURLOPT_XOAUTH2_BEARER, access.token);
  options.SetString(CURLOPT_USERNAME, k8s::SecretString(access.token.empty() ? access.username : ""));
  options.SetString(CURLOPT_PASSWORD, access.token.empty() ? access.password : k8s::SecretString());
  if (options.status().ok()) prepared_ = *std::move(current);
  return options.status();
}

}  // namespace mcsa
