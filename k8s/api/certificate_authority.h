#ifndef K8S_API_CERTIFICATE_AUTHORITY_H_
#define K8S_API_CERTIFICATE_AUTHORITY_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "k8s/core/secret_string.h"

namespace k8s {

// A certificate and its private key (P-256), as PEM.
struct CertificateAndKey {
  std::string certificate;
  SecretString key;  // PKCS#8
  absl::Time not_after = absl::InfinitePast();
};

// Makes a self-signed CA that may sign leaves and no further CAs. Its subject is `common_name`, cut where that is too
// long, and a random number, so that in a bundle of several each verifier finds the right one. Valid from five minutes
// before `now`, for verifiers whose clock is behind. INTERNAL: OpenSSL failed, out of entropy or memory.
absl::StatusOr<CertificateAndKey> MakeCa(const std::string& common_name, absl::Duration lifetime, absl::Time now);

// Makes a key and a server certificate for it, signed by `ca`, for DNS names and IP addresses as clients dial them. It
// ends with `lifetime`, or with the CA. INVALID_ARGUMENT: the CA is malformed, or there is no name.
absl::StatusOr<CertificateAndKey> SignLeaf(const std::string& ca_certificate, const SecretString& ca_key,
                                           const std::vector<std::string>& names, absl::Duration lifetime,
                                           absl::Time now);

}  // namespace k8s

#endif  // K8S_API_CERTIFICATE_AUTHORITY_H_
