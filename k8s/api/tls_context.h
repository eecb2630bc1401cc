#ifndef K8S_API_TLS_CONTEXT_H_
#define K8S_API_TLS_CONTEXT_H_

#include <absl/status/statusor.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "k8s/core/secret_string.h"

namespace k8s {

// What a TLS client verifies servers with, and shows of itself. OpenSSL counts references, so copies are cheap.
// Immutable, hence thread-safe.
struct TlsContext {
  std::shared_ptr<X509_STORE> roots;  // null: the system's, from SSL_CERT_FILE where it is set
  std::shared_ptr<X509> certificate;  // null without a client certificate
  std::shared_ptr<EVP_PKEY> key;      // null without a client certificate
  std::string chain_pem;              // the client certificate's file, with what follows the first in it
};

// `ca_pem` empty: the system's roots. With it, those are not trusted.
// `certificate_pem` and `key_pem`: both or none. INVALID_ARGUMENT says which of them is malformed.
absl::StatusOr<TlsContext> BuildTlsContext(const std::string& ca_pem, const std::string& certificate_pem,
                                           const SecretString& key_pem);

}  // namespace k8s

#endif  // K8S_API_TLS_CONTEXT_H_
